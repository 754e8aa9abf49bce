// A page that is open all day does not grow. REFRESHES is how often it refreshes: 8640 is a day (`npm run test:day`).
//
// Time runs as fast as the page does, in the page and in what answers it: the generated data of tests/fake-api.js, in which posts come in and windows
// end, and events that begin and end.

import assert from 'node:assert/strict';
import { answer } from '../tests/fake-api.js';
import { loaded, site, spec } from './spec.js';

const REFRESHES = Number(process.env.REFRESHES ?? 300);
/** What is there after this many refreshes is compared with what is there at the end. */
const SETTLED = Math.min(500, Math.floor(REFRESHES / 4));
/** The overview is asked for every ten seconds. Smaller steps than that: a question is due some time after the end of the round before. */
const STEP_MS = 5_000;
const MEASURED = 6;
/** Of a long run, figures are printed in between. */
const SHOWN_EVERY = 500;
const HOUR_MS = 3_600_000;
/** The heap is a few MB; without growth, it differs by what the browser has not compiled or thrown away yet. */
const MOST_BYTES = 2_500_000;

const time = (/** @type {number} */ ms) => new Date(ms).toISOString();

/** Something that begins each hour and lasts for 40 minutes. @param {number} hour @param {number} now */
function event(hour, now) {
  const [start, end] = [hour * HOUR_MS, hour * HOUR_MS + 2_400_000];
  const name = `Goal${hour % 50}`;
  return {
    region: 'harbour', id: `harbour-${hour}`, kind: 'rising', text: null, start: time(start), end: end > now ? null : time(end), is_open: end > now, comparison: null, reason: null, sampled: null, revision: null, windows: 8,
    subject: { type: 'hashtag', key: name.toLowerCase(), name }, carriers: [],
  };
}

/** What the server says at a time. @param {URL} url @param {number} now @returns {[number, object]} */
function answerAt(url, now) {
  const [status, body] = answer(url, { now });
  const hour = Math.floor(now / HOUR_MS);
  // One of the generated regions answers with errors, which are not of interest here.
  const sound = (/** @type {{ id?: string, region?: string }[]} */ regions) => regions.filter(({ id, region }) => id !== 'broken' && region !== 'broken');
  switch (url.pathname) {
    case '/api/regions': return [200, { ...body, regions: sound(/** @type {any} */ (body).regions) }];
    case '/api/overview': return [200, { ...body, regions: sound(/** @type {any} */ (body).regions).map((one) => (one.region === 'harbour' ? { ...one, event: event(hour, now) } : one)) }];
    case '/api/events': return [200, { from: time(now - 24 * HOUR_MS), to: time(now), is_cut: false, events: Array.from({ length: 24 }, (_, i) => event(hour - i, now)) }];
    default: return [status, body];
  }
}

for (const [name, search] of Object.entries({ overview: '', 'region page': '?region=harbour' })) {
  spec(`${REFRESHES} refreshes of the ${name} leave nothing behind`, { isOpened: false }, async ({ page, context }) => {
    let ahead = 0;
    const refreshed = { overview: 0, windows: 0 };
    await page.route('**/api/**', async (route) => {
      const url = new URL(route.request().url());
      const [status, body] = answerAt(url, Date.now() + ahead);
      if (url.pathname === '/api/overview') refreshed.overview += 1;
      if (url.pathname === '/api/windows' && status === 200) refreshed.windows += 1;
      await route.fulfill({ status, json: body });
    });
    await page.clock.install();
    await page.goto(site + search);
    await loaded(page);
    const debug = await context.newCDPSession(page);
    /** @param {number} total */
    const refreshUntil = async (total) => {
      while (refreshed.overview < total) {
        ahead += STEP_MS;
        await page.clock.runFor(STEP_MS);
      }
    };
    const once = async () => {
      await debug.send('HeapProfiler.collectGarbage');
      const [{ usedSize }, { documents, nodes, jsEventListeners }] = await Promise.all([debug.send('Runtime.getHeapUsage'), debug.send('Memory.getDOMCounters')]);
      return { refreshes: refreshed.overview, heapBytes: usedSize, nodes, listeners: jsEventListeners, documents };
    };
    /** The least of a few refreshes: each figure also depends on what is open or unfinished at the moment. */
    const measured = async () => {
      const least = await once();
      for (let i = 1; i < MEASURED; i += 1) {
        await refreshUntil(refreshed.overview + 1);
        const next = await once();
        for (const part of /** @type {const} */ (['heapBytes', 'nodes', 'listeners', 'documents'])) least[part] = Math.min(least[part], next[part]);
      }
      return least;
    };
    await refreshUntil(SETTLED);
    const before = await measured();
    for (let next = before.refreshes + SHOWN_EVERY; next < REFRESHES; next += SHOWN_EVERY) {
      await refreshUntil(next);
      console.log(`${name}: ${JSON.stringify(await measured())}`);
    }
    await refreshUntil(REFRESHES);
    const after = await measured();
    console.log(`${name}: ${JSON.stringify(before)} became ${JSON.stringify(after)}, by ${refreshed.windows} answers of windows`);
    if (search) assert.ok(refreshed.windows > REFRESHES / 20, `${refreshed.windows} answers of windows`);
    assert.ok(after.heapBytes < before.heapBytes + MOST_BYTES, `heap: ${before.heapBytes} became ${after.heapBytes} bytes`);
    assert.ok(after.nodes < before.nodes * 1.1 + 100, `nodes: ${before.nodes} became ${after.nodes}`);
    assert.ok(after.listeners < before.listeners * 1.1 + 20, `listeners: ${before.listeners} became ${after.listeners}`);
    assert.ok(after.documents <= before.documents, `documents: ${before.documents} became ${after.documents}`);
  });
}
