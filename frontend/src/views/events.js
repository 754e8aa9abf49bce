// @ts-check
// The page of events and notes: filter, add a note, choose regions for notifications. Loaded when it is first shown.

import { formatDayClock, formatSpan } from '../format.js';
import { t } from '../i18n.js';
import { groupEvents } from '../model/event-groups.js';
import { eventsSheet } from '../model/sheets.js';
import { groupText } from '../model/unusual.js';
import { isoMinute, list, parseTime } from '../model/values.js';
import { explain } from '../messages.js';
import { ApiError } from '../api.js';
import { renderSegments } from '../view/controls.js';
import { byId, el, rebuild, setText, showText } from '../view/dom.js';

const KINDS = /** @type {const} */ (['rising', 'spike', 'drop', 'silence', 'gap', 'sampled', 'restart', 'revision', 'note']);
/** The name of a kind of events. @param {string} kind */
const kindName = (kind) => {
  const known = KINDS.find((id) => id === kind);
  return known ? t(`events.kind.${known}`) : kind;
};
const DAY_MS = 86_400_000;
const SPANS = [
  { id: '', get label() { return t('range.24h'); }, ms: DAY_MS }, { id: '7d', get label() { return t('range.7d'); }, ms: 7 * DAY_MS },
  { id: '30d', get label() { return t('range.30d'); }, ms: 30 * DAY_MS },
];
const TOKEN_KEY = 'birdsong-notes-token';

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default function createEvents(ctx) {
  const { doc, win, feed, watch, choice, nameOf, openRegion, keep, announce, alerts } = ctx;
  const field = (/** @type {string} */ id) => /** @type {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} */ (byId(doc, id));
  const kinds = () => (choice.choices.kind ?? '').split(',').filter((kind) => KINDS.some((id) => id === kind));
  const span = () => SPANS.find(({ id }) => id === (choice.choices.time ?? '')) ?? /** @type {typeof SPANS[number]} */ (SPANS[0]);
  /** The region of the filter. It is not that of the page, which would open the page of a region. */
  const place = () => choice.choices.at ?? '';

  function wanted() {
    const now = isoMinute(feed.nowMs());
    // Another end for each note that was added here, which no cache has.
    const to = new Date(Date.parse(now) + 60_000 + added * 1000).toISOString();
    const query = { region: place(), kind: kinds().join(','), from: isoMinute(feed.nowMs() - span().ms), to };
    return { events: { subject: `events ${place()} ${kinds().join(',')} ${span().id} ${added}`, ask: (/** @type {import('../api.js').Api} */ api) => api.events(query) } };
  }
  /** How many notes were added here: each is a reason to ask again. */
  let added = 0;

  /** @param {string} param @param {string} value */
  function filter(param, value) {
    keep(param, value);
    ctx.choose({});
  }

  function show() {
    const regions = list(feed.regions);
    renderSegments(doc, byId(doc, 'event-kinds'), { type: 'checkbox', name: 'kind', options: [{ id: '', label: t('events.all') }, ...KINDS.map((id) => ({ id, label: kindName(id) }))], chosen: (id) => (id === '' ? kinds().length === 0 : kinds().includes(id)) });
    renderSegments(doc, byId(doc, 'event-times'), { type: 'radio', name: 'time', options: SPANS, chosen: (id) => id === span().id });
    for (const id of ['event-region', 'note-region']) {
      rebuild(byId(doc, id), regions.map((one) => `${one.id} ${one.name}`), () => [{ id: '', name: t('overview.allRegions') }, ...regions].map((one) => el(doc, 'option', { value: one.id }, one.name)));
    }
    field('event-region').value = place();
    const answer = /** @type {import('../api.js').Events | null} */ (watch.get('events'));
    const error = watch.errorOf('events');
    const groups = groupEvents(answer?.events);
    showText(byId(doc, 'event-note'), error ? t('message.keepsTrying', { error: explain(error) }) : answer?.is_cut ? t('events.cut') : answer && groups.length > 0 ? t('events.count', { n: groups.length }) : '');
    rebuild(byId(doc, 'event-list'), [String(answer === null), ...groups.map((one) => JSON.stringify(one))], () => (groups.length === 0
      ? [el(doc, 'li', { class: 'muted' }, answer === null ? t('page.loading') : t('events.none'))]
      : groups.map((one) => {
        const [start, end] = [parseTime(one.start), parseTime(one.end)];
        const time = start === null ? '' : end !== null && end > start ? formatSpan(start, end) : formatDayClock(start);
        const link = one.region ? el(doc, 'button', { type: 'button', class: 'link' }, nameOf(one.region)) : el(doc, 'span', {}, t('overview.allRegions'));
        if (one.region) link.addEventListener('click', () => openRegion(one.region));
        return el(
          doc, 'li', { 'data-kind': one.kind }, el(doc, 'time', { datetime: one.start }, time), el(doc, 'span', { class: 'event-kind' }, kindName(one.kind)),
          el(doc, 'span', { class: 'event-text' }, link, t(one.isOpen && (one.lead.comparison || one.kind === 'gap') ? 'overview.eventOpen' : 'overview.event', { event: groupText(one) })),
        );
      })));
    const permission = alerts.permission();
    rebuild(byId(doc, 'alert-regions'), regions.map((one) => `${one.id} ${one.name}`), () => regions.map((one) => el(
      doc, 'label', { class: 'check' }, el(doc, 'input', { type: 'checkbox', value: one.id }), ` ${one.name}`,
    )));
    for (const input of byId(doc, 'alert-regions').querySelectorAll('input')) {
      input.checked = alerts.regions().includes(input.value);
      input.disabled = permission !== 'ready';
    }
    if (permission !== 'ready') showText(byId(doc, 'alert-state'), t(`events.${permission}`));
  }

  byId(doc, 'event-kinds').addEventListener('change', (event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.target);
    const next = value === '' ? [] : kinds().includes(value) ? kinds().filter((kind) => kind !== value) : [...kinds(), value];
    filter('kind', next.join(','));
  });
  byId(doc, 'event-times').addEventListener('change', (event) => filter('time', /** @type {HTMLInputElement} */ (event.target).value));
  byId(doc, 'event-region').addEventListener('change', () => filter('at', field('event-region').value));
  byId(doc, 'take-events').addEventListener('click', ctx.openTake);
  byId(doc, 'alert-regions').addEventListener('change', async () => {
    const chosen = [...byId(doc, 'alert-regions').querySelectorAll('input')].filter(({ checked }) => checked).map(({ value }) => value);
    const isAllowed = await alerts.choose(chosen, feed.overview);
    showText(byId(doc, 'alert-state'), isAllowed ? '' : t('events.refused'));
    show();
  });

  // --- a note -------------------------------------------------------------------------------

  try {
    field('note-token').value = win.sessionStorage.getItem(TOKEN_KEY) ?? '';
  } catch {
    // The token is typed again where storage is blocked.
  }
  byId(doc, 'note-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const [text, token, region] = ['note-text', 'note-token', 'note-region'].map((id) => field(id).value.trim());
    /** A time of a field is that of the reader's clock. @param {string} id */
    const time = (id) => (field(id).value ? new Date(field(id).value).toISOString() : undefined);
    const [start, end] = [time('note-start'), time('note-end')];
    const wrong = !text ? t('events.noText') : !token ? t('events.noToken') : end && end < (start ?? new Date().toISOString()) ? t('events.badTime') : '';
    /** @param {string} error @param {string} said */
    const say = (error, said = '') => {
      showText(byId(doc, 'note-error'), error);
      setText(byId(doc, 'note-state'), said);
    };
    if (wrong) return say(wrong);
    const button = byId(doc, 'note-send');
    if (button.getAttribute('aria-busy') === 'true') return undefined;
    button.setAttribute('aria-busy', 'true');
    say('', t('events.sending'));
    try {
      await ctx.addNote({ text: text ?? '', ...(region && { region }), ...(start && { start }), ...(end && { end }) }, token ?? '');
      try {
        win.sessionStorage.setItem(TOKEN_KEY, token ?? '');
      } catch {
        // As above.
      }
      field('note-text').value = '';
      added += 1;
      say('', t('events.added'));
      announce(t('events.added'));
      ctx.choose({});
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0;
      say(status === 401 ? t('events.wrongToken') : [403, 404, 405].includes(status) ? t('events.notConfigured') : t('events.failed', { error: explain(error) }));
    } finally {
      button.removeAttribute('aria-busy');
    }
    return undefined;
  });

  return {
    title: () => t('events.tab'),
    wanted,
    show,
    take: () => ({ sheets: [{ label: t('events.title'), make: () => eventsSheet(watch.get('events')?.events) }], charts: [], href: win.location.href, suffix: span().id }),
  };
}
