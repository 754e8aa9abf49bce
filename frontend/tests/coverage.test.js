// @ts-check
// Tests of the state of completeness in the list of regions.
import { expect, it } from 'vitest';
import { coverage } from '../src/view/overview.js';
import { answerOf, flawed, silentAt, windowAt } from './reports.js';

const partial = { completeness: flawed({ flaws: ['unwatched'] }) };

it('a first day says since when data is collected, and not that it is incomplete', () => {
  expect(coverage(answerOf([silentAt(0), silentAt(1), windowAt(2), windowAt(3)]))).toEqual({ kind: 'first', text: 'collecting since 08:10' });
  // Collecting began within a step: when exactly is not known.
  expect(coverage(answerOf([silentAt(0), silentAt(1), windowAt(2, partial), windowAt(3)]))).toEqual({ kind: 'first', text: 'collecting since about 08:12' });
  expect(coverage(answerOf([silentAt(0), silentAt(1)]))).toEqual({ kind: 'first', text: 'no data in 24 h' });
});

it('a gap later in the day is one', () => {
  expect(coverage(answerOf([silentAt(0), windowAt(1), windowAt(2, partial), windowAt(3)])).kind).toBe('partial');
  expect(coverage(answerOf([silentAt(0), windowAt(1, partial), windowAt(2, partial), windowAt(3)])).kind).toBe('partial');
  expect(coverage(answerOf([windowAt(0), windowAt(1)]))).toEqual({ kind: 'complete', text: 'complete' });
});
