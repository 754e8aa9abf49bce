// What a page is: each file of src/views/ exports a function that makes one, and src/views/index.js lists it.

import type { Api } from '../api.js';
import type { Drawer } from '../chart-kit/draw.js';
import type { createFeed } from '../feed.js';
import type { Choice } from '../url-state.js';
import type { createWatch } from '../watch.js';

/** An answer that a page needs beside counts over time. It is asked for again when `subject` changes and when a window has ended. */
export interface Want {
  /** What it is about; an answer about something else is not shown. */
  subject: string;
  ask(api: Api): Promise<unknown>;
}

/**
 * What has changed since the last call of `show`: the choice of the reader or the language (`choice`), the overview, the windows of the
 * chosen region, an answer that the page wanted (`answer`), or nothing but the time, after each round of questions (`round`).
 */
export type Changed = 'choice' | 'overview' | 'windows' | 'answer' | 'round';

export interface View {
  /** The title of the browser's tab. */
  title(): string;
  /** The answers that it needs now, by name; an answer that is not named is forgotten. `watch.get(name)` has the value. */
  wanted(): Record<string, Want | null>;
  /** Writes what is known into its section. `name` is that of the answer. Called only while the page is shown. */
  show(changed: Changed, name?: string): void;
  /** What can be taken away of it now; null while nothing is known. */
  take?(): import('../view/take.js').Takeaway | null;
  /** Resolves when all that was shown last is in the page, which it is at once without this. */
  done?(): Promise<void>;
  /** By the key's name (`KeyboardEvent.key`). They come before those of the whole dashboard. A key that returns false leaves the event to it. */
  keys?: Record<string, () => void | false>;
}

/** What all pages share. */
export interface Context {
  doc: Document;
  win: globalThis.Window;
  drawer: Drawer;
  /** What is chosen; changed by `choose` alone. */
  choice: Choice;
  feed: ReturnType<typeof createFeed>;
  watch: ReturnType<typeof createWatch>;
  /** The name of a region. */
  nameOf(region: string): string;
  /** The name of the chosen region. */
  regionName(): string;
  /** All known networks, in the order in which they get their colours. */
  networks(): string[];
  /** Remembers networks that an answer has named. */
  sawNetworks(names: Iterable<string>): void;
  /** Shows another choice, and adds it to the history of the browser. */
  choose(change: Partial<Choice>, options?: { push?: boolean }): Promise<void>;
  /** Changes one parameter of the address without a question to the API. */
  keep(param: string, value: string): void;
  /** Notifications of the browser. */
  alerts: import('../alerts.js').Alerts;
  /** Adds a note with the token of the installation. */
  addNote(note: { text: string; region?: string; start?: string; end?: string }, token: string): Promise<unknown>;
  /** Opens the dialog of data, pictures and the code for embedding. */
  openTake(): Promise<void>;
  openOverview(): Promise<void>;
  openRegion(region: string): Promise<void>;
  /** Opens a page by its id, with its parameters. Without `region` none is chosen. */
  openView(id: string, options?: { region?: string | null; params?: Record<string, string> }): Promise<void>;
  /** Opens the wall, in full screen where the browser allows it. */
  openWall(): Promise<void>;
  /** Turns the page of a region to a hashtag or host. */
  focusOn(region: string, type: string, key: string): Promise<void>;
  /** Reads a text to those who do not see the page. */
  announce(text: string): void;
}

/** A page in the list. Its section in index.html is `view-ID`; links to it have `data-view=ID`. */
export interface Entry {
  id: string;
  /** Its own parameters in the address. */
  params: readonly string[];
  /** Makes the page; called once, when it is first shown. */
  create?: (ctx: Context) => View;
  /** The same for a page whose code is loaded when it is first shown. */
  load?: () => Promise<{ default: (ctx: Context) => View }>;
}
