// @ts-check
// Printing: always in the light theme, with charts that fit the paper, and a line that says what was printed and when.

import { currentZone, formatClock, formatDay } from './format.js';
import { t } from './i18n.js';
import { byId, setText } from './view/dom.js';

/** The width of A4 and Letter between their margins, at 96 pixels an inch. */
const PAPER_PX = 680;

/**
 * @param {{ win: globalThis.Window, drawer: Pick<import('./chart-kit/draw.js').Drawer, 'restyle' | 'fit'> }} parts
 * @returns {() => void} stops it
 */
export function initPrint({ win, drawer }) {
  const root = win.document.documentElement;
  /** @type {string | null} */
  let theme = null;
  const before = () => {
    theme = root.getAttribute('data-theme');
    root.setAttribute('data-theme', 'light');
    setText(byId(win.document, 'print-line'), t('page.printed', { time: `${formatDay(Date.now())}, ${formatClock(Date.now())}`, zone: currentZone().id, address: win.location.href }));
    drawer.restyle();
    drawer.fit(PAPER_PX);
  };
  const after = () => {
    if (theme !== null) root.setAttribute('data-theme', theme);
    drawer.restyle();
    drawer.fit();
  };
  win.addEventListener('beforeprint', before);
  win.addEventListener('afterprint', after);
  return () => {
    win.removeEventListener('beforeprint', before);
    win.removeEventListener('afterprint', after);
  };
}
