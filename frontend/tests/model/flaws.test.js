// @ts-check
// Tests of the words and spans for what is special about windows.
import { describe, expect, it } from 'vitest';
import { readWindow } from '../../src/model/answer.js';
import { gapSpans, stateText, windowRemarks } from '../../src/model/flaws.js';
import { MINUTE, NOW, SAMPLED, START, answerOf, flawed, silentAt, windowAt } from '../reports.js';

it('joins neighbouring gaps of one kind', () => {
  const { windows } = answerOf([windowAt(0), silentAt(1), silentAt(2), windowAt(3), windowAt(5)]);
  expect(gapSpans(windows)).toEqual([{ kind: 'silent', start: START + 5 * MINUTE, end: START + 15 * MINUTE }]);
  const mixed = answerOf([silentAt(0), windowAt(1, { completeness: flawed({ frames: 1 }) }), silentAt(3)]).windows;
  expect(gapSpans(mixed).map((span) => span.kind)).toEqual(['silent', 'partial', 'silent']);
  const shares = answerOf([windowAt(0, { completeness: SAMPLED }), windowAt(1, { completeness: { ...SAMPLED, sampled: 0.5 } }), windowAt(2)]).windows;
  expect(gapSpans(shares)).toEqual([{ kind: 'sampled', start: START, end: START + 10 * MINUTE }]);
});

describe('windowRemarks', () => {
  const remarks = (/** @type {number} */ index, /** @type {Partial<import('../../src/model/contract').Report>} */ changes) => (
    windowRemarks(readWindow(windowAt(index, changes), NOW))
  );

  it('gives the reason for each flaw', () => {
    expect(remarks(0, {})).toEqual([]);
    expect(remarks(0, { completeness: flawed({ frames: 1, dropped: 1 }) })).toEqual(['Incomplete', '1 post dropped: log unavailable, spool full']);
    const all = flawed({
      flaws: ['unwatched', 'missed', 'dropped', 'unreadable', 'corrupt', 'sampled'], dropped: 2, missed_secs: 90, quarantined: 1, withheld: 4, corrupt: 2, sampled: 0.5,
    });
    expect(remarks(0, { completeness: all })).toEqual([
      'Incomplete', 'No source was running for part of the time', 'A source was disconnected for 1 min', '2 posts dropped: log unavailable, spool full',
      '4 posts withheld by the source', '1 line could not be read', 'Log or store damaged, 2 posts missing; a reprocess may restore them',
      "Only 50% of a source’s posts were requested",
    ]);
    expect(windowRemarks(readWindow(silentAt(0), NOW))).toEqual(['No data arrived in this time']);
  });

  it('shows sampling before the window has ended, but not before it has begun', () => {
    const reason = "Only 25% of a source’s posts were requested";
    expect(remarks(0, { completeness: SAMPLED })).toEqual([reason]);
    expect(remarks(3, { lifecycle: 'provisional', completeness: SAMPLED })).toEqual([reason, 'Unfinished: still counting']);
    expect(remarks(5, { completeness: SAMPLED })).toEqual([]);
  });

  it('marks revised windows', () => {
    expect(remarks(0, { lifecycle: 'revised' })).toEqual(['Revised']);
  });

  it('says when, why and by how much a window was revised', () => {
    /** @param {Partial<import('../../src/api-types').components['schemas']['Revision']>} changes */
    const revised = (changes) => ({
      lifecycle: /** @type {const} */ ('revised'), revision: { changed_at: null, why: [], change: null, ...changes },
    });
    const late = revised({ changed_at: new Date(NOW).toISOString(), why: ['late', 'reprocess'], change: 4 });
    const [text] = remarks(0, late);
    expect(text).toMatch(/^Revised: 4 posts more than before; late posts arrived, counted again from the log; last changed .*\d$/);
    expect(stateText(readWindow(windowAt(0, late), NOW))).toMatch(/^revised; 4 posts more than before; .*; last changed .*\d$/);
    expect(remarks(0, revised({ why: ['retry'], change: -1 }))).toEqual(['Revised: 1 post fewer than before; damaged records could be read after all']);
    expect(remarks(0, revised({ why: ['rule'], change: 0 }))).toEqual(['Revised: as many posts as before, but other numbers changed; counted by a newer rule']);
    expect(remarks(0, revised({}))).toEqual(['Revised']);
  });
});
