// @ts-check
// Tests of the marks of events: no letter covers another.
import { expect, it } from 'vitest';
import { rowsOf } from '../../src/chart-kit/event-marks.js';

it('letters that are close together are below one another, and use the highest row that is free', () => {
  expect(rowsOf([])).toEqual([]);
  expect(rowsOf([0, 100, 200])).toEqual([0, 0, 0]);
  expect(rowsOf([0, 4, 8, 18, 60])).toEqual([0, 1, 2, 0, 0]);
});
