// @vitest-environment jsdom
// @ts-check
// Tests of tables: rows that stay are the same nodes, whatever is added, removed or changed beside them.
import { expect, it, vi } from 'vitest';
import { el, rebuild } from '../src/view/dom.js';
import { renderTable, tableText } from '../src/view/table.js';

const head = ['Window', 'Posts'];
const texts = (/** @type {HTMLElement} */ holder) => [...holder.querySelectorAll('tbody tr')].map((row) => [...row.children].map(({ textContent }) => textContent));

it('keeps rows, so that a selection stays', () => {
  const holder = document.createElement('div');
  renderTable(document, holder, 'Posts', { head, rows: [['b', '2'], ['a', '1'], ['z', '0']] });
  const [b, a] = holder.querySelectorAll('tbody tr');
  const cell = a?.lastElementChild?.firstChild;
  renderTable(document, holder, 'Posts', { head, rows: [['c', '3'], ['b', '5'], ['a', '1']] });
  expect(texts(holder)).toEqual([['c', '3'], ['b', '5'], ['a', '1']]);
  const [, after, last] = holder.querySelectorAll('tbody tr');
  expect(after).toBe(b);
  expect(last).toBe(a);
  expect(last?.lastElementChild?.firstChild).toBe(cell);
});

it('shows rows of one name, another order and another head', () => {
  const holder = document.createElement('div');
  const tables = [[['a', '1'], ['a', '2']], [['b', '2'], ['a', '1'], ['c', '3']], [['c', '3'], ['a', '1'], ['b', '2']], [['a', '9']]];
  for (const rows of tables) {
    renderTable(document, holder, 'Posts', { head, rows });
    expect(texts(holder)).toEqual(rows);
  }
  renderTable(document, holder, 'Posts', { head: ['Window'], rows: [['a']] });
  expect(texts(holder)).toEqual([['a']]);
  renderTable(document, holder, 'Posts', { head, rows: [] });
  expect(holder.querySelector('table')).toBeNull();
});

it('copies what is shown now', async () => {
  const writeText = vi.fn(async () => {});
  Object.defineProperty(navigator, 'clipboard', { value: { writeText }, configurable: true });
  const holder = document.createElement('div');
  renderTable(document, holder, 'Posts', { head, rows: [['a', '1']] });
  renderTable(document, holder, 'Posts', { head, rows: [['a', '2']] });
  holder.querySelector('button')?.click();
  await vi.waitFor(() => expect(holder.querySelector('button')?.textContent).toBe('Copied'));
  expect(writeText).toHaveBeenCalledWith('Window\tPosts\na\t2');
  expect(tableText({ head: ['x'], rows: [['two\nlines']] })).toBe('x\ntwo lines');
});

it('keeps the focus on the control of the same name when a list is made again', () => {
  const holder = document.createElement('ol');
  document.body.append(holder);
  const make = (/** @type {string[]} */ names) => () => names.map((name) => el(document, 'li', {}, el(document, 'button', {}, name)));
  rebuild(holder, ['1'], make(['#goal', '#fog']));
  holder.querySelectorAll('button')[1]?.focus();
  rebuild(holder, ['2'], make(['#fog', '#rain', '#goal']));
  expect(document.activeElement?.textContent).toBe('#fog');
  rebuild(holder, ['3'], make(['#rain']));
  expect(document.activeElement).toBe(document.body);
  holder.remove();
});
