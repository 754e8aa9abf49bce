// What a chart is: the descriptor that each file of src/charts/ exports.

import type { ChartData, ChartOptions, Plugin } from 'chart.js';
import type { Answer, Gap } from '../model/answer.js';
import type { Reads } from '../model/fields.js';
import type { Palette } from '../theme.js';

/** A table of texts; the first cell of each row is its header. */
export interface Table {
  head: string[];
  rows: string[][];
}

/** A horizontal bar. The true count is `value` to `value + error`. */
export interface Bar {
  label: string;
  value: number;
  error: number;
  note?: string;
  /** What the page turns to by a click, if it can. */
  focus?: { type: string; key: string };
  /** What it was at the earlier time; null when that is not known. */
  before?: { low: number; high: number } | null;
}

/** A series that the reader can hide. `colour` is the name of a custom property of the style sheet, without `--`. */
export interface Series {
  key: string;
  label: string;
  colour: string;
  /** Whether it is a dashed line and not an area. */
  isDashed?: boolean;
}

/** What the reader chose in a chart's card, and what the page knows beside the answer. */
export interface ChartOptionsOfReader {
  /** The chosen option of `choice`; null when the chart has none. */
  choice: string | null;
  /** Keys of the hidden series. */
  hidden: ReadonlySet<string>;
  /** Names of all known networks, in the order in which they get their colours. */
  networks: readonly string[];
  /** Events of the region. */
  events?: readonly (import('../model/unusual.js').LooseEvent | null)[];
  /** The server's time. */
  nowMs?: number;
  /** The same counts at the earlier time that the reader compares with. */
  earlier?: import('../model/change.js').LooseAnswer | null;
}

/** What Chart.js draws. Texts and colours of plugins are in `state`, since plugins are set once per canvas. */
export interface Drawing {
  type: 'bar' | 'line';
  data: ChartData<any, any>;
  options: ChartOptions<any>;
  plugins: Plugin<any>[];
  state: DrawingState;
}

export interface DrawingState {
  spans?: { kind: Gap; start: number; end: number }[];
  marks?: { letter: string; at: number }[];
  /** Bars of unfinished windows, by their index. */
  hatched?: number[];
}

export interface Chart<View> {
  /** Unique; the canvas is `chart-ID`. Its title is the text `chart.ID.title`, and `chart.ID.asTable` opens its table. */
  id: string;
  /** The fields of reports that it reads. The page asks for these alone. */
  reads: Reads;
  /** The width of its card. */
  size: 'wide' | 'half' | 'third';
  /** The height of its plot; `rows` is that of a ranking. */
  height: 'tall' | 'middle' | 'rows';
  /** A sentence below the title that is always shown. */
  lead?(choices?: Readonly<Record<string, string>>): string;
  /** What the reader can find in its ranking, and turn the page to: a `type` of `Bar.focus`. Its text is `bars.find.ID`. */
  finds?: string;
  /** Whether counts of its ranking are lower bounds, of the most frequent entries only. */
  isBound?: boolean;
  /** Whether its card explains the marks of unfinished, missing and sampled windows. */
  hasMarks?: boolean;
  /** Whether a time can be chosen in it, by pointer or keys. */
  hasBrush?: boolean;
  /** A choice of what is drawn. It is kept in the address bar as `param`. Hidden when there are fewer than two options. */
  choice?: {
    param: string;
    label(): string;
    options(answer: Answer): { id: string; label: string }[];
  };
  /** The fields that it reads beside `reads` for an option of `choice`, so that others do not pay for them. */
  more?(choice: string, range: { secs: number }): Reads;
  /** From the answer to what this chart shows. Pure. */
  view(answer: Answer, options: ChartOptionsOfReader): View;
  /** The text in place of the plot when there is nothing to draw; an empty text when there is something. */
  empty?(view: View): string;
  /** A remark about this answer; an empty text for none. */
  note?(view: View): string;
  /** Series that can be hidden one by one. */
  series?(view: View): Series[];
  /** The bars of a ranking, which the card shows as a list; it then has no `config`. */
  ranking?(view: View): { bars: Bar[]; all: number };
  /** Lettered marks, which are explained below the plot. */
  annotations?(view: View): { letter: string; time: string; text: string }[];
  config?(view: View, palette: Palette): Drawing;
  table(view: View): Table;
  /** One sentence for readers who do not see the chart. */
  summary(view: View): string;
}
