// Names for the answers of the API. The shapes come from the OpenAPI document (`npm run types`), so a field that is
// renamed there fails `npm run check` here.

import type { paths } from '../api-types';

type Ok<P extends keyof paths> = paths[P] extends {
  get: { responses: { 200: { content: { 'application/json': infer Body } } } };
} ? Body : never;

/** The answer of one region. */
export type WindowsAnswer = Extract<Ok<'/api/windows'>, { windows: unknown }>;
/** The counts of one window, step or total. */
export type Report = NonNullable<WindowsAnswer['total']>;
/** A field of a report, for `fields` and `total_fields`. */
export type Field = keyof Report;
export type Completeness = NonNullable<Report['completeness']>;
/** Posts of one network in a report. */
export type NetworkCounts = NonNullable<Report['networks']>[number];

export type RegionsAnswer = Ok<'/api/regions'>;
export type OverviewAnswer = Ok<'/api/overview'>;
export type RegionOverview = OverviewAnswer['regions'][number];
export type Source = OverviewAnswer['sources'][number];
export type EventsAnswer = Ok<'/api/events'>;
export type Event = EventsAnswer['events'][number];
export type Subject = Event['subject'];
export type TrendsAnswer = Ok<'/api/trends'>;
export type Trend = TrendsAnswer['regions'][number]['items'][number];
export type SeriesAnswer = Ok<'/api/series'>;

/** The query of `/api/windows`. `network` is a comma-separated list; all networks when it is empty. */
export type WindowQuery = Loose<NonNullable<paths['/api/windows']['get']['parameters']['query']>>;

/** An answer as it may arrive: any field may be missing or null, since the server may be older or newer than the page. */
export type Loose<T> = T extends readonly (infer Item)[] ? readonly (Loose<Item> | null)[]
  : T extends object ? { readonly [K in keyof T]?: Loose<T[K]> | null }
    : T;
