// @ts-check
// The page of one region: its state in a sentence, the numbers of the range, what rises, and the charts.

import focusChart, { boundsText, readSeries } from '../charts/focus.js';
import { CHARTS } from '../charts/index.js';
import { t } from '../i18n.js';
import { emptyMessage, explain } from '../messages.js';
import { collectingSince, readAnswer } from '../model/answer.js';
import { embedOf, wholePage } from '../model/embed.js';
import { fieldsQuery } from '../model/fields.js';
import { networksText } from '../model/networks.js';
import { AGAINST, againstById, changeText, earlierRange, shareChangeText } from '../model/change.js';
import { rankingSheet, risingSheet, eventsSheet, seriesSheet, stepsSheet } from '../model/sheets.js';
import { rangeMarks } from '../model/flaws.js';
import { absoluteRange, brushedRange, rangeParams, shiftRange } from '../model/range.js';
import { coveredText } from '../model/query.js';
import { risingList } from '../model/reasons.js';
import { EARLIER_ROWS, ROWS_PARAM, asksOf } from '../model/rows.js';
import { rateUsualText, tileReads, tiles } from '../model/tiles.js';
import { companions, focusLimits, focusName, focusOf, languageSeries, seriesRange } from '../model/focus.js';
import { evidence, rankRegions, regionSentence, samplePart, tabTitle } from '../model/unusual.js';
import { isoMinute, list, parseTime } from '../model/values.js';
import { RANGES, rangeOf, writeUrl } from '../url-state.js';
import { currentZone, formatSpan, isUtcDays } from '../format.js';
import { createCards, listedBy, titleOf } from '../view/cards.js';
import { createTimePicker } from '../view/time-picker.js';
import { regionSelect, renderNetworks, renderRanges, renderSegments, toggleNetwork } from '../view/controls.js';
import { byId, el, find, setText } from '../view/dom.js';
import { renderPanel } from '../view/messages.js';
import { renderEvidence, renderRising, renderSentence } from '../view/overview.js';
import { renderTile } from '../view/tile.js';

/** A range that ends less than this share of its length ago ends now: the clock goes on while the reader looks at earlier times. */
const NOW_SHARE = 0.1;
const READ_MS = 250;
/** What is compared with the earlier time: tiles, and rankings. */
const EARLIER_FIELDS = 'authors,completeness,hashtags,languages,link_hosts,located,other_languages,posts,reposts';

/** @typedef {import('../api.js').Api} Api */

/**
 * The fields that the charts and tiles read, and how many entries of rankings.
 * @param {import('../url-state.js').Choice} choice
 * @param {import('../url-state.js').Range} range
 */
export const fieldsOf = ({ choices }, range) => ({
  ...fieldsQuery([...CHARTS.flatMap(({ reads, more, choice }) => [reads, ...(more ? [more(choices[choice?.param ?? ''] ?? '', range)] : [])]), tileReads(range)]),
  top: asksOf(choices[ROWS_PARAM], listedBy(CHARTS)),
});

/** @param {import('./types').Context} ctx @returns {import('./types').View} */
export default function createRegion(ctx) {
  const { doc, win, feed, watch, choice, drawer, choose, openRegion, openOverview, focusOn, announce, networks, nameOf, regionName } = ctx;
  const shared = {
    doc, drawer,
    onChoice: (/** @type {string} */ param, /** @type {string} */ option) => {
      ctx.keep(param, option);
      // Another choice may read fields that were not asked for.
      if (!feed.fits()) choose({}, { push: false });
      else if (feed.windows) showWindows();
    },
    onFocus: (/** @type {string} */ type, /** @type {string} */ key) => focusOn(choice.region ?? '', type, key),
  };
  const embed = embedOf(win.location.search, CHARTS.map(({ id }) => id));
  if (embed === null) delete doc.documentElement.dataset.embed;
  const cards = createCards({ ...shared, charts: CHARTS, only: embed });
  const focusCard = createCards({ ...shared, charts: [focusChart], holder: 'focus-card' });

  const focused = () => focusOf(choice);
  /** The windows as they were read last: it takes a while, and several parts need them in the same moment. @type {{ windows: unknown, second: number, answer: import('../model/answer.js').Answer } | null} */
  let read = null;
  function readNow() {
    const nowMs = feed.nowMs();
    const second = Math.floor(nowMs / 1000);
    if (read?.windows !== feed.windows || read.second !== second) read = { windows: feed.windows, second, answer: readAnswer(feed.windows, nowMs) };
    return read.answer;
  }
  /** The answer to what is chosen, with the absolute range that was asked for. */
  const answerNow = () => {
    const asked = absoluteRange(choice.choices);
    return asked && feed.fits() ? Object.assign(readAnswer(feed.windows, feed.nowMs()), { asked }) : readNow();
  };
  const isAbsolute = () => absoluteRange(choice.choices) !== null;
  /** Back from an absolute range to the named one. */
  const showWhole = () => choose({ choices: { ...choice.choices, from: '', to: '' } });
  const unfocus = () => choose({ ...(focused()?.type === 'network' && { networks: [] }), choices: { ...choice.choices, tag: '', host: '', language: '' } });
  const regionNow = () => rankRegions(feed.overview).find(({ id }) => id === choice.region);

  /** @returns {Record<string, import('./types').Want | null>} */
  function wanted() {
    if (!feed.windows || !feed.fits()) return {};
    const region = choice.region ?? '';
    const answer = readNow();
    const range = { from: feed.windows.from ?? '', to: feed.windows.to ?? '' };
    const earlier = earlierRange(answer, againstById(choice.choices.against), feed.nowMs(), rangeOf(choice).secs * 1000);
    const focus = focused();
    const about = [region, choice.range, choice.choices.until ?? '', choice.choices.from ?? '', choice.choices.to ?? ''].join(' ');
    const network = choice.networks.join(',');
    return {
      events: { subject: about, ask: (/** @type {Api} */ api) => api.events({ region, ...range }) },
      trends: { subject: region, ask: (/** @type {Api} */ api) => api.trends({ region }) },
      profiles: focus?.type === 'hashtag' ? { subject: region, ask: (/** @type {Api} */ api) => api.trends({ region, standing: 'all' }) } : null,
      earlier: earlier && {
        subject: `${about} ${network} ${choice.choices.against ?? ''}`,
        ask: (/** @type {Api} */ api) => api.windows({ region, network, ...earlier, step: 'auto', fields: 'posts', total_fields: EARLIER_FIELDS, top: EARLIER_ROWS }),
      },
      series: focus && focus.type !== 'network' ? {
        subject: `${about} ${network} ${focus.type} ${focus.key}`,
        ask: async (/** @type {Api} */ api) => (focus.type === 'language' ? languageSeries(await api.windows({
          region, network, ...range, step: String(Math.round(answer.stepMs / 1000)), fields: 'completeness,languages,other_languages', total_fields: 'none',
        }), focus.key) : api.series({
          region, from: seriesRange(range).from, to: range.to, step: String(Math.min(86_400, Math.round(answer.stepMs / 1000))), ...(focus.type === 'hashtag' ? { tag: focus.key } : { host: focus.key }),
        })),
      } : null,
    };
  }

  // --- showing ------------------------------------------------------------------------------

  /** @type {import('./types').View['show']} */
  function show(changed, name) {
    const since = performance.now();
    if (changed === 'choice') showControls();
    if (changed === 'overview') {
      renderNetworks(doc, networks(), choice.networks);
      showState();
    }
    if (changed === 'windows') showWindows(since);
    // The rate and the time that is covered change also when the answer has not.
    if (changed === 'round' && feed.windows) showTiles();
    if (changed !== 'answer') return;
    showState();
    if (!feed.windows || !feed.fits()) return;
    showChanges();
    if (name === 'events') showCharts(answerNow(), ({ annotations }) => annotations !== undefined, since);
    if (name === 'earlier') showCharts(answerNow(), ({ ranking }) => ranking !== undefined, since);
  }

  function showControls() {
    renderRanges(doc, RANGES, rangeOf(choice).id);
    picker.render();
    renderNetworks(doc, networks(), choice.networks);
    renderSegments(doc, byId(doc, 'against'), { type: 'radio', name: 'against', options: AGAINST, chosen: (id) => id === againstById(choice.choices.against).id });
    byId(doc, 'later-range').hidden = !(choice.choices.until || isAbsolute());
    byId(doc, 'whole-range').hidden = !isAbsolute();
    if (choice.region) regionSelect(doc).value = choice.region;
    setText(byId(doc, 'controls-summary'), t('region.change', { what: [regionName(), rangeOf(choice).long, networksText(choice.networks), currentZone().id].filter(Boolean).join(', ') }));
    showFocus();
  }

  /** Shows the state of the region, what rises, and what the page is turned to. */
  function showState() {
    if (!feed.overview) return;
    const nowMs = feed.nowMs();
    const region = regionNow();
    const sample = samplePart(feed.overview);
    renderSentence(byId(doc, 'region-sentence'), region ? [...regionSentence(region, nowMs, feed.fits() ? collectingSince(readNow().windows) : null), ...(sample ? [{ ...sample, text: ` ·${sample.text}` }] : [])] : [{ text: regionName(), tone: 'plain' }]);
    renderEvidence(byId(doc, 'region-evidence'), region ? evidence(region) : []);
    const trends = watch.get('trends');
    const empty = trends === null ? (watch.errorOf('trends') ? t('overview.cannotLoad') : t('page.loading')) : region?.group === 'unjudged' ? t('region.risingUnjudged') : t('overview.nothingRises');
    renderRising(byId(doc, 'rising'), trends ? risingList(trends, { nameOf, nowMs }) : [], { focus: focusOn, withRegion: false, empty });
    showFocus();
  }

  /** Shows how the numbers of the range compare with an earlier time. */
  function showChanges() {
    const { total } = readNow();
    const [earlier, against] = [watch.get('earlier'), againstById(choice.choices.against)];
    const texts = {
      posts: changeText(total.posts, earlier, 'posts', against),
      authors: total.authors ? changeText(total.authors.authors, earlier, 'authors', against) : '',
      reposts: shareChangeText([total.reposts, total.posts], earlier, against),
    };
    for (const [id, text] of Object.entries(texts)) setText(find(doc, `#tile-${id} .tile-change`), text);
  }

  function showFocus() {
    const focus = focused();
    byId(doc, 'focus').hidden = focus === null;
    if (!focus) return;
    setText(byId(doc, 'focus-title'), t('region.focusTitle', { subject: focusName(focus), region: regionName() }));
    if (focus.type === 'network') {
      setText(byId(doc, 'focus-text'), focusLimits(focus));
      byId(doc, 'focus-card').hidden = true;
      return;
    }
    const series = watch.get('series');
    if (!series) {
      setText(byId(doc, 'focus-text'), watch.errorOf('series') ? t('message.keepsTrying', { error: explain(watch.errorOf('series')) }) : t('page.loading'));
      byId(doc, 'focus-card').hidden = true;
      return;
    }
    const answer = readSeries(series, feed.nowMs());
    const cut = focus.type !== 'language' && seriesRange({ from: feed.windows?.from ?? '', to: feed.windows?.to ?? '' }).isCut ? t('focus.cut') : '';
    const elsewhere = list(feed.overview?.regions).filter(({ region, event }) => region !== choice.region && event?.subject?.key === focus.key).map(({ name }) => name);
    setText(byId(doc, 'focus-text'), [
      t('region.focusText', { bounds: boundsText(answer) }), elsewhere.length > 0 && t('region.focusElsewhere', { regions: elsewhere.join(', ') }), cut, focus.type === 'hashtag' ? companions(watch.get('profiles'), focus.key) : '', focusLimits(focus),
    ].filter(Boolean).join(' '));
    byId(doc, 'focus-card').hidden = false;
    focusCard.render({ answer, networks: [], choices: {} });
  }

  /**
   * @param {import('../model/answer.js').Answer} answer
   * @param {(chart: import('../chart-kit/types').Chart<any>) => boolean} [isMeant]
   * @param {number} [since] when the work began of which this is the rest
   */
  function showCharts(answer, isMeant, since) {
    if (answer.total.posts > 0) cards.render({ answer, networks: networks(), choices: choice.choices, events: watch.get('events')?.events ?? [], earlier: feed.fits() ? watch.get('earlier') : null, nowMs: feed.nowMs() }, isMeant, since);
  }

  function showTiles(answer = readNow()) {
    const nowMs = feed.nowMs();
    const rangeText = feed.endsInPast ? t('region.newestData', { span: coveredText(answer, nowMs) }) : coveredText(answer, nowMs);
    for (const tile of tiles({ answer, overview: feed.overview, nowMs, rangeText })) renderTile(doc, tile);
    // What is usual is known of now, and of all networks.
    const isNow = !choice.choices.until && !isAbsolute() && !feed.endsInPast && choice.networks.length === 0;
    setText(find(doc, '#tile-rate .tile-change'), isNow ? rateUsualText(list(feed.overview?.regions).find(({ region }) => region === choice.region)) : '');
  }

  /** Shows the last good answer. @param {number} [since] when the work began of which this is a part */
  function showWindows(since = performance.now()) {
    const answer = answerNow();
    ctx.sawNetworks(answer.networks ?? []);
    picker.render();
    showTiles(answer);
    showState();
    if (feed.fits()) showChanges();
    if (answer.total.posts > 0) {
      renderPanel(doc, null);
      showCharts(answer, undefined, since);
    } else {
      const message = emptyMessage(choice, { hasOtherRegions: (feed.regions?.length ?? 0) > 1, hasPosts: Boolean(feed.overview?.newest_post) });
      renderPanel(doc, { ...message, actions: message.actions.map(({ label, change }) => ({ label, run: () => choose({ ...change, ...(change.range && { choices: { ...choice.choices, from: '', to: '' } }) }) })) });
    }
    renderNetworks(doc, networks(), choice.networks);
    showEmbedSource(answer);
  }

  // --- choosing -----------------------------------------------------------------------------

  /** @param {string} range */
  const chooseRange = (range) => choose({ range, choices: { ...choice.choices, from: '', to: '' } });
  /** @param {import('../model/range.js').Ends} ends */
  const chooseEnds = (ends) => choose({ choices: { ...choice.choices, ...rangeParams(ends) } });

  /**
   * Shows the time before or after the range that is shown.
   * @param {-1 | 1} direction
   */
  function move(direction) {
    const now = feed.nowMs();
    const ends = absoluteRange(choice.choices);
    if (ends) {
      if (direction === -1 || ends.to < now) choose({ choices: { ...choice.choices, ...rangeParams(shiftRange(ends, direction, now, currentZone())) } });
      return;
    }
    const lengthMs = rangeOf(choice).secs * 1000;
    const until = (parseTime(choice.choices.until) ?? now) + direction * lengthMs;
    if (direction === 1 && !choice.choices.until) return;
    choose({ choices: { ...choice.choices, until: until >= now - NOW_SHARE * lengthMs ? '' : isoMinute(until) } });
  }

  /** Whether the arrows are those of a chart, also before it is drawn. */
  const isInChart = () => Boolean(doc.activeElement?.closest('[role="application"]'));

  /** The next or previous region. @param {-1 | 1} direction */
  function step(direction) {
    const ids = rankRegions(feed.overview).map(({ id }) => id);
    const next = ids[ids.indexOf(choice.region ?? '') + direction];
    if (next) openRegion(next);
  }

  async function copyLink() {
    const end = choice.choices.until || isoMinute(feed.nowMs());
    // The zone of this reader, so that the link shows the same times to others.
    const fixed = { ...choice.choices, until: end, zone: currentZone().id };
    const search = writeUrl(win.location.search, { ...choice, choices: fixed });
    try {
      await win.navigator.clipboard.writeText(new URL(search, win.location.href).href);
      announce(t('region.copiedLong'));
      setText(byId(doc, 'copy-link'), t('region.copied'));
    } catch {
      // Without a clipboard, such as on plain HTTP, the address bar gets the link.
      choose({ choices: fixed });
      announce(t('region.inAddressLong'));
      setText(byId(doc, 'copy-link'), t('region.inAddress'));
    }
    win.setTimeout(() => setText(byId(doc, 'copy-link'), t('region.copy')), 2_000);
  }

  /** @returns {import('../view/take.js').Takeaway | null} */
  function take() {
    if (!feed.windows || !feed.fits()) return null;
    const answer = readNow();
    const focus = focused();
    const series = focus && watch.get('series');
    const subtitle = [coveredText(answer, feed.nowMs()), networksText(choice.networks)].filter(Boolean).join(' · ');
    const marks = rangeMarks(answer.windows);
    const { charts, rankings } = cards.drawn();
    /** What a picture says below its chart. @param {import('../chart-kit/types').Chart<any>} chart */
    const marksOf = (chart) => (chart.hasMarks ? [...marks, ...(isUtcDays(answer.stepMs) ? [t('series.utcDays')] : [])] : chart.ranking && chart.lead ? [chart.lead(choice.choices)] : []);
    return {
      sheets: [
        { label: t('take.steps'), make: () => stepsSheet(answer) },
        ...rankings.map(({ chart, ranking }) => ({ label: titleOf(chart), make: () => rankingSheet(chart.id, answer, ranking) })),
        ...(focus && series ? [{ label: t('take.series'), make: () => seriesSheet(focus, readSeries(series, feed.nowMs())) }] : []),
        { label: t('take.rising'), make: () => risingSheet(watch.get('trends')) },
        { label: t('take.rangeEvents'), make: () => eventsSheet(watch.get('events')?.events) },
      ],
      charts: charts.map((one) => ({ ...one, name: titleOf(one.chart), title: `${titleOf(one.chart)} · ${regionName()}`, subtitle, marks: marksOf(one.chart) })),
      href: win.location.href,
      suffix: choice.choices.until ? `${rangeOf(choice).id}-${choice.choices.until.replace(/[:Z]/g, '')}` : rangeOf(choice).id,
    };
  }

  /** Under a chart alone: what it is of, and the whole page. */
  function showEmbedSource(/** @type {import('../model/answer.js').Answer} */ answer) {
    const holder = byId(doc, 'embed-source');
    holder.hidden = embed === null;
    if (embed === null) return;
    holder.replaceChildren(
      el(doc, 'span', {}, `${regionName()} · ${coveredText(answer, feed.nowMs())} · ${currentZone().id}${rangeMarks(answer.windows).map((mark) => ` · ${mark}`).join('')}`),
      el(doc, 'a', { href: wholePage(win.location.href), target: '_blank', rel: 'noopener' }, t('take.whole')),
    );
  }

  /** @param {Event} event */
  const valueOf = (event) => /** @type {HTMLInputElement | HTMLSelectElement} */ (event.target).value;
  /** @param {string} id @param {(value: string) => void} run */
  const onChange = (id, run) => byId(doc, id).addEventListener('change', (event) => run(valueOf(event)));
  /** @param {string} id @param {() => void} run */
  const onClick = (id, run) => byId(doc, id).addEventListener('click', (event) => {
    event.preventDefault();
    run();
  });
  onChange('region', (region) => choose({ region }));
  onChange('ranges', chooseRange);
  onChange('networks', (network) => choose({ networks: toggleNetwork(networks(), choice.networks, network) }));
  onChange('against', (against) => choose({ choices: { ...choice.choices, against } }));
  onClick('back', openOverview);
  onClick('focus-close', unfocus);
  onClick('whole-range', showWhole);
  const picker = createTimePicker({
    doc,
    ends: () => absoluteRange(choice.choices) ?? (feed.windows ? { from: parseTime(feed.windows.from) ?? 0, to: Math.min(feed.nowMs(), parseTime(feed.windows.to) ?? 0) } : null),
    zone: () => choice.choices.zone ?? '',
    subject: () => [choice.region, choice.range, ...['until', 'from', 'to', 'zone'].map((param) => choice.choices[param] ?? '')].join(' '),
    regionZone: () => feed.regions?.find(({ id }) => id === choice.region)?.tz ?? null,
    onEnds: chooseEnds,
    onZone: async (zone) => {
      await choose({ choices: { ...choice.choices, zone } });
      if (feed.windows) showWindows();
    },
  });
  byId(doc, 'charts').addEventListener('brush', (event) => {
    const ends = brushedRange(/** @type {CustomEvent<import('../model/range.js').Ends>} */ (event).detail, readNow().windowMs);
    if (ends) chooseEnds(ends);
  });
  let reading = 0;
  byId(doc, 'charts').addEventListener('read', (event) => {
    const at = /** @type {CustomEvent<number>} */ (event).detail;
    const w = readNow().windows.find(({ start, end }) => at >= start && at < end);
    // Only where the keys stop is read.
    win.clearTimeout(reading);
    if (w) reading = win.setTimeout(() => announce(t('region.read', { span: formatSpan(w.start, w.end), n: w.posts })), READ_MS);
  });
  onClick('earlier-range', () => move(-1));
  onClick('later-range', () => move(1));
  onClick('copy-link', copyLink);
  /** With its first neighbour in the list of regions, as a start. */
  const compare = () => {
    const region = choice.region ?? '';
    const other = rankRegions(feed.overview).find(({ id }) => id !== region)?.id;
    const { until = '', from = '', to = '' } = choice.choices;
    ctx.openView('compare', other ? { params: { regions: `${region},${other}`, until, from, to } } : { region, params: { periods: 'day', until, from, to } });
  };
  onClick('compare-region-page', compare);
  onClick('take', ctx.openTake);
  onClick('about', async () => {
    const region = feed.regions?.find(({ id }) => id === choice.region);
    if (!region || !feed.overview) return;
    const { openAbout } = await import('../view/about.js');
    openAbout(doc, { region, overview: feed.overview, windows: feed.fits() ? readNow().windows : [], updatedMs: parseTime(feed.overview.updated_at) });
  });
  onClick('show-controls', () => {
    const isOpen = byId(doc, 'region-controls').toggleAttribute('data-open');
    byId(doc, 'show-controls').setAttribute('aria-expanded', String(isOpen));
  });

  return {
    take,
    done: cards.done,
    title: () => tabTitle(regionNow(), regionName()),
    wanted,
    show,
    keys: { c: compare,
      j: () => step(1), k: () => step(-1), ArrowLeft: () => (isInChart() ? false : move(-1)), ArrowRight: () => (isInChart() ? false : move(1)),
      Escape: () => (focused() ? void unfocus() : isAbsolute() ? void showWhole() : false),
      ...Object.fromEntries(RANGES.map(({ id }, i) => [String(i + 1), () => void chooseRange(id)])),
    },
  };
}
