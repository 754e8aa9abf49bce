// @ts-check
// Tests of the status of the sources, and of the ledger.
import { describe, expect, it } from 'vitest';
import { ledgerRows, ledgerTitle } from '../../src/model/ledger.js';
import { knownNetworks, networkLabel, networksText } from '../../src/model/networks.js';
import { problemText, sourceChips, sourcesTable } from '../../src/model/sources.js';
import { NOW, START, iso } from '../reports.js';

describe('sources', () => {
  it('have a tone for each status, and none for one that the page does not know', () => {
    const tone = (/** @type {any} */ status) => sourceChips({ sources: [{ source: 's', status }] }, NOW)[0]?.tone;
    expect(['connected', 'backfill'].map(tone)).toEqual(['good', 'good']);
    expect(['starting', 'waiting'].map(tone)).toEqual(['warn', 'warn']);
    expect(['stopped', 'stale'].map(tone)).toEqual(['bad', 'bad']);
    expect(['disconnected from the log', 'connecting', undefined].map(tone)).toEqual(['plain', 'plain', 'plain']);
  });

  it('show everything that is known of them', () => {
    const [chip] = sourceChips({ sources: [{ source: 's', status: /** @type {any} */ ('backing_off'), last_post: iso(NOW - 60_000), reconnects: 1 }] }, NOW);
    expect(chip).toMatchObject({ name: 's', status: 'backing off', short: '', details: 'last post 1 min ago · 1 reconnect' });
    expect(sourceChips(null, NOW)).toEqual([]);
    const [all] = sourceChips({
      sources: [{
        source: 'x', status: 'stale', reason: 'no report since then', problem: 'the disk is full', last_post: iso(NOW - 60_000),
        connected_since: iso(NOW - 3_600_000), reconnects: 2, gaps: 1, sampled: 0.25, spent_dollars: 12.5,
      }],
    }, NOW);
    expect(all?.short).toBe('25% · $12.50');
    expect(all?.details).toBe(
      'last post 1 min ago · connected for 1 h · 2 reconnects · 1 gap · sampled at 25% · $12.50 spent this month · no report since then; the disk is full',
    );
  });

  it('have one row each', () => {
    const { head, rows } = sourcesTable({
      sources: [
        { source: 'x', status: 'waiting', reason: 'another connection', last_post: iso(NOW - 60_000), connected_since: null, reconnects: 1200, gaps: 1, sampled: 0.25, spent_dollars: 12.5 },
        { source: 'bluesky', status: 'connected', connected_since: iso(NOW - 3_600_000), reconnects: 0, gaps: 0, sampled: null, spent_dollars: null },
        {},
      ],
    }, NOW);
    expect(rows).toEqual([
      ['x', 'waiting', '–', '1 min', '1,200', '1', '25%', '$12.50', 'another connection'],
      ['bluesky', 'connected', '1 h', '–', '0', '0', 'all posts', '–', '–'],
      ['source', 'unknown', '–', '–', '–', '–', 'all posts', '–', '–'],
    ]);
    expect(rows.every((row) => row.length === head.length)).toBe(true);
    expect(sourcesTable(null, NOW).rows).toEqual([]);
  });
});

describe('networks', () => {
  it('are those of the sources, of earlier answers and of the address, by name', () => {
    const status = { sources: [{ source: 'x', network: 'x' }, { source: 'demo' }, { source: 'mastodon:a', network: 'mastodon' }, { source: 'mastodon:b', network: 'mastodon' }] };
    expect(knownNetworks({ overview: status, seen: ['web', 'x'], chosen: ['bluesky'] })).toEqual(['bluesky', 'mastodon', 'web', 'x']);
    expect(knownNetworks({ overview: null, seen: [], chosen: [] })).toEqual([]);
  });

  it('are labelled by their name', () => {
    expect(networkLabel('bluesky')).toBe('Bluesky');
    expect(networksText(['bluesky', 'x'])).toBe('Bluesky, X');
    expect(networksText([])).toBe('');
  });
});

describe('the ledger', () => {
  it('lists its rows and marks the flaws', () => {
    const rows = ledgerRows({ ledger: { received: 10, dropped: 1, late: 0, corrupt_records: 5 } });
    expect(rows.map((row) => [row.key, row.value, row.flaw])).toEqual([['received', '10', false], ['dropped', '1', true], ['late', '0', false]]);
    expect(ledgerRows({})).toEqual([]);
  });

  it('names its time and that it is of all regions', () => {
    expect(ledgerTitle({ ledger: {} })).toBe('Ledger of all regions: what became of every post');
    expect(ledgerTitle({ ledger: { from: iso(START - 86_400_000), to: iso(START) } })).toMatch(/^Ledger of all regions, Mon,? 23 Nov, .* – Tue,? 24 Nov, .*: what/);
  });
});

it('reports what keeps posts from being stored', () => {
  expect(problemText({ problems: [] })).toBeNull();
  expect(problemText(null)).toBeNull();
  expect(problemText({ problems: ['x: the log is full', 'windows cannot be stored'] })).toBe(
    'Posts are not being stored: x: the log is full; windows cannot be stored. The numbers may be incomplete.',
  );
});
