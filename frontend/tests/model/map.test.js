// @ts-check
import { describe, expect, it } from 'vitest';
import { boundsOf, factorOf, frameOf, hoursOf, middleOf, placeLabels, polygonOf, shadeOf, withMargin } from '../../src/model/map.js';

describe('bounds', () => {
  it('are around all boxes', () => {
    expect(boundsOf([[-74, 45, -73, 46], [2, 48, 3, 49]])).toEqual({ west: -74, south: 45, east: 3, north: 49 });
  });

  it('cross the antimeridian where that is shorter', () => {
    expect(boundsOf([[170, -45, 175, -35], [-160, 18, -155, 22]])).toEqual({ west: 170, south: -45, east: 205, north: 22 });
    expect(boundsOf([[178, -20, -178, -15]])).toEqual({ west: 178, south: -20, east: 182, north: -15 });
  });

  it('are nothing without boxes that can be read', () => {
    expect(boundsOf([])).toBeNull();
    expect(boundsOf([[1, 2, 3]])).toBeNull();
  });

  it('have a margin, and are not those of a street', () => {
    const wide = withMargin({ west: 2.2, south: 48.8, east: 2.4, north: 48.9 });
    expect(wide.east - wide.west).toBeCloseTo(6);
    expect(wide.north - wide.south).toBeCloseTo(6);
    expect(withMargin({ west: -180, south: -80, east: 180, north: 83 }).north).toBe(84);
    expect(frameOf(wide).coordinates).toContainEqual([wide.west, wide.south]);
  });
});

describe('boxes', () => {
  it('are closed polygons that are clockwise, also across the antimeridian', () => {
    const [ring = []] = polygonOf([178, -20, -178, -15]).coordinates;
    expect(ring[0]).toEqual([178, -15]);
    expect(ring.at(-1)).toEqual(ring[0]);
    expect(Math.max(...ring.map(([x = 0]) => x))).toBe(182);
    expect(Math.sign(ring.slice(1).reduce((sum, [x = 0, y = 0], i) => { const [px = 0, py = 0] = ring[i] ?? []; return sum + px * y - x * py; }, 0))).toBe(-1);
  });

  it('have their pin in the largest', () => {
    expect(middleOf([[0, 0, 1, 1], [10, 10, 20, 20]])).toEqual([15, 15]);
    expect(middleOf([])).toBeNull();
  });
});

describe('hours', () => {
  const complete = { complete: true, frames: 1, flaws: [] };
  const NOW = Date.parse('2026-11-24T10:30:00Z');
  const hours = hoursOf([{
    region: 'a', step_secs: 3600,
    windows: [
      { window_start: '2026-11-24T08:00:00Z', window_end: '2026-11-24T09:00:00Z', posts: 5, usual: 10, usual_low: 8, usual_high: 12, completeness: complete },
      { window_start: '2026-11-24T09:00:00Z', window_end: '2026-11-24T10:00:00Z', posts: 0, completeness: { ...complete, frames: 0 } },
      { window_start: '2026-11-24T10:00:00Z', window_end: '2026-11-24T11:00:00Z', posts: 3, completeness: complete },
    ],
  }], { names: new Map([['a', 'Alpha']]), nowMs: NOW });

  it('are those that have ended', () => {
    expect(hours.map(({ places }) => places.map(({ name, posts }) => [name, posts]))).toEqual([[['Alpha', 5]], [['Alpha', null]]]);
  });

  it('are shaded by surprise or by posts', () => {
    const place = { id: 'a', name: 'A', posts: 5, usual: 10, low: 8, high: 12 };
    const at = (/** @type {number | null} */ posts) => shadeOf({ ...place, posts }, 'surprise', 100);
    expect([5, 7, 10, 13, 20, null].map(at)).toEqual(['down-2', 'down-1', 'within', 'up-1', 'up-2', 'unknown']);
    expect(shadeOf({ ...place, usual: null }, 'surprise', 100)).toBe('unknown');
    expect([0, 4, 100, 400].map((posts) => shadeOf({ ...place, posts }, 'posts', 100))).toEqual(['posts-0', 'posts-1', 'posts-4', 'posts-4']);
    expect(factorOf(place)).toBe(0.5);
  });
});

describe('names on the map', () => {
  const label = { r: 9, width: 60, height: 30 };
  it('are at the first free side, and nowhere when none is free', () => {
    const [first, second] = placeLabels([{ ...label, x: 100, y: 100 }, { ...label, x: 130, y: 100 }], { width: 300, height: 200 });
    expect(first).toEqual({ x: 27, y: 100, isOver: false });
    expect(second).toEqual({ x: 143, y: 100, isOver: false });
    expect(placeLabels([{ ...label, x: 10, y: 10 }], { width: 50, height: 20 })).toEqual([null]);
  });

  it('may cover less important pins when they are those of the first regions, and are few among many', () => {
    const label = { r: 6, width: 60, height: 30 };
    const crowd = Array.from({ length: 60 }, (_, i) => ({ ...label, x: 100 + (i % 10) * 14, y: 100 + Math.floor(i / 10) * 14 }));
    const places = placeLabels([{ ...label, x: 163, y: 135 }, ...crowd], { width: 400, height: 300 });
    expect(places[0]?.isOver).toBe(true);
    expect(places.slice(16).every((place) => place === null)).toBe(true);
  });
});
