// @ts-check
// Tests of the texts for people.
import { describe, expect, it } from 'vitest';
import {
  formatAgo, formatCompact, formatCount, formatDuration, formatMillis, formatRate, formatShare, formatSpan, languageName,
} from '../src/format.js';

describe('numbers', () => {
  it('writes counts whole, and short above a million', () => {
    expect(formatCount(0)).toBe('0');
    expect(formatCount(40663)).toBe('40,663');
    expect(formatCount(1_234_567)).toBe('1.235M');
    expect(formatCompact(12_400)).toBe('12.4K');
  });

  it('shows a dash for what is not known', () => {
    for (const unknown of [null, undefined, NaN, '7']) {
      expect(formatCount(unknown)).toBe('–');
      expect(formatRate(unknown)).toBe('–');
      expect(formatDuration(unknown)).toBe('–');
      expect(formatMillis(unknown)).toBe('–');
    }
    expect(formatShare(1, 0)).toBe('–');
  });

  it('never rounds a share to all or to nothing', () => {
    expect(formatShare(0, 10)).toBe('0%');
    expect(formatShare(10, 10)).toBe('100%');
    expect(formatShare(99_999, 100_000)).toBe('>99.9%');
    expect(formatShare(1, 100_000)).toBe('<0.1%');
    expect(formatShare(287, 288)).toBe('99.7%');
    expect(formatShare(1, 3)).toBe('33%');
  });

  it('writes rates', () => {
    expect(formatRate(3.14)).toBe('3.1');
    expect(formatRate(1234.5)).toBe('1,235');
  });
});

describe('times', () => {
  it('writes durations', () => {
    expect(formatDuration(-4)).toBe('0 s');
    expect(formatDuration(59.4)).toBe('59 s');
    expect(formatDuration(185)).toBe('3 min');
    expect(formatDuration(7500)).toBe('2 h 5 min');
    expect(formatDuration(3 * 86400)).toBe('3 d');
    expect(formatMillis(850)).toBe('850 ms');
    expect(formatMillis(1240)).toBe('1.2 s');
    expect(formatMillis(120_000)).toBe('2 min');
    expect(formatAgo(0.4)).toBe('just now');
    expect(formatAgo(12)).toBe('12 s ago');
    expect(formatAgo(null)).toBe('not yet');
  });

  it('names the day of a span once, also up to midnight', () => {
    expect(formatSpan(Date.UTC(2026, 10, 24, 8), Date.UTC(2026, 10, 24, 8, 5))).toMatch(/24 Nov.*08:00–08:05$/);
    expect(formatSpan(Date.UTC(2026, 10, 24, 23), Date.UTC(2026, 10, 25))).toMatch(/24 Nov.*23:00–00:00$/);
    expect(formatSpan(Date.UTC(2026, 10, 24), Date.UTC(2026, 10, 26))).toMatch(/24 Nov.* – .*26 Nov/);
  });

  it('writes a whole day without clock times, and the year where it changes', () => {
    expect(formatSpan(Date.UTC(2026, 10, 24), Date.UTC(2026, 10, 25))).toMatch(/^Tue,? 24 Nov$/);
    expect(formatSpan(Date.UTC(2025, 10, 24), Date.UTC(2026, 10, 24, 9))).toMatch(/24 Nov 2025, 00:00 – .*24 Nov 2026, 09:00$/);
  });
});

describe('languageName', () => {
  it('names codes and keeps what it does not know', () => {
    expect(languageName('en')).toBe('English');
    expect(languageName('pt_BR')).toBe('Portuguese (Brazil)');
    expect(languageName('und')).toBe('Not stated');
    expect(languageName('')).toBe('Not stated');
    expect(languageName('!!')).toBe('!!');
  });
});
