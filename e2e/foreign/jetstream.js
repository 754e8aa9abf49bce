// @skyware/jetstream, a Jetstream client of other people, at the fake Jetstream. Node.js 20 has no WebSocket of its own, so
// the client gets that of `ws`. Records are held to Bluesky's lexicons, as @atcute/bluesky has them.

import assert from 'node:assert/strict';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { AppBskyFeedPost, AppBskyFeedRepost } from '@atcute/bluesky';
import { safeParse } from '@atcute/lexicons/validations';
import { Jetstream } from '@skyware/jetstream';
import WebSocket from 'ws';

import { start } from '../run.js';

const root = path.resolve(import.meta.dirname, '../..');
const birdsong = path.join(path.resolve(root, process.env.BIRDSONG_BINARIES ?? 'target/debug'), 'birdsong-fake');
const POST = 'app.bsky.feed.post';
const REPOST = 'app.bsky.feed.repost';
const SCHEMAS = { [POST]: AppBskyFeedPost.mainSchema, [REPOST]: AppBskyFeedRepost.mainSchema };
/** A client that waits for what never comes fails its test. */
const TIMEOUT = { timeout: 60_000 };
/** A record key or revision that is made of the time. */
const TID = /^[2-7a-j][2-7a-z]{12}$/;

let child, endpoint;

before(async () => {
  const started = await start(birdsong, ['bluesky', '--port', '0', '--rate', '200'], /127\.0\.0\.1:\d+/);
  child = started.child;
  endpoint = `ws://${started.found[0]}/subscribe`;
});

after(() => child?.kill());

/** The cursor of this many seconds ago, in microseconds; the fake has ten minutes of the past. */
const ago = (seconds) => (Date.now() - seconds * 1000) * 1000;

/** A client, closed at the end of the test. */
function connect(context, options) {
  const client = new Jetstream({ ws: WebSocket, endpoint, ...options });
  client.on('error', (error) => assert.fail(error));
  context.after(() => client.close());
  return client;
}

/** Resolves to the first so many events of these names. */
function collect(client, names, count) {
  return new Promise((resolve) => {
    const events = [];
    for (const name of names) {
      client.on(name, (event) => {
        if (events.push(event) === count) resolve(events.slice());
      });
    }
    client.start();
  });
}

test('posts and reposts come as they are written, with what the lexicons want', TIMEOUT, async (context) => {
  const client = connect(context, { cursor: ago(60), wantedCollections: [POST, REPOST] });
  const events = await collect(client, ['commit'], 2000);
  const commits = events.map((event) => event.commit);
  const kinds = new Set(commits.map((commit) => `${commit.operation} ${commit.collection}`));
  assert.deepEqual([...kinds].sort(), [`create ${POST}`, `create ${REPOST}`, `delete ${POST}`, `delete ${REPOST}`, `update ${POST}`]);
  const problems = new Set();
  for (const { commit, did } of events) {
    assert.match(did, /^did:plc:[a-z0-9]{24}$/);
    assert.match(commit.rkey, TID);
    assert.match(commit.rev, TID);
    if (commit.operation === 'delete') {
      assert.equal(commit.record, undefined);
      continue;
    }
    const parsed = safeParse(SCHEMAS[commit.collection], commit.record);
    if ('issues' in parsed) for (const issue of parsed.issues) problems.add(`${issue.path.join('.')} ${issue.code}`);
  }
  // Jetstream passes on what an author's program wrote, and some write no time at all.
  assert.deepEqual([...problems], ['createdAt invalid_string_format']);
  const times = events.map((event) => event.time_us);
  assert.deepEqual(times, times.toSorted((a, b) => a - b));
});

test('the listeners for one kind of change get that alone', TIMEOUT, async (context) => {
  const client = connect(context, { cursor: ago(60), wantedCollections: [POST, REPOST] });
  const seen = { create: 0, update: 0, delete: 0 };
  client.onCreate(POST, ({ commit }) => {
    assert.equal(typeof commit.record.text, 'string');
    seen.create += 1;
  });
  client.onUpdate(POST, ({ commit }) => {
    assert.equal(commit.operation, 'update');
    seen.update += 1;
  });
  client.onDelete(REPOST, ({ commit }) => {
    assert.equal(commit.operation, 'delete');
    seen.delete += 1;
  });
  await collect(client, ['commit'], 1000);
  assert.ok(Object.values(seen).every((count) => count > 10), JSON.stringify(seen));
});

test('without wanted collections everything comes', TIMEOUT, async (context) => {
  const client = connect(context, { cursor: ago(60) });
  const names = ['commit', 'account', 'identity'];
  const events = await collect(client, names, 1500);
  assert.deepEqual(new Set(events.map((event) => event.kind)), new Set(names));
  assert.ok(events.some((event) => event.commit?.collection === 'app.bsky.feed.like'));
});

test('one collection that is wanted comes alone', TIMEOUT, async (context) => {
  const client = connect(context, { cursor: ago(60), wantedCollections: [REPOST] });
  const events = await collect(client, ['commit'], 200);
  assert.deepEqual(new Set(events.map((event) => event.commit.collection)), new Set([REPOST]));
});

test('a cursor goes on where another connection stopped', TIMEOUT, async (context) => {
  const options = { cursor: ago(120), wantedCollections: [POST, REPOST] };
  const whole = await collect(connect(context, options), ['commit'], 600);
  const first = connect(context, options);
  const begin = await collect(first, ['commit'], 250);
  first.close();
  // The event at the cursor comes again.
  const second = connect(context, { ...options, cursor: begin.at(-1).time_us });
  const rest = await collect(second, ['commit'], 351);
  assert.deepEqual(rest[0], begin.at(-1));
  assert.deepEqual([...begin, ...rest.slice(1)], whole);
});

test('the client reconnects by its own cursor and misses nothing', TIMEOUT, async (context) => {
  const options = { cursor: ago(120), wantedCollections: [POST, REPOST] };
  const whole = await collect(connect(context, options), ['commit'], 600);
  const client = connect(context, options);
  let left = 250;
  client.on('commit', () => {
    left -= 1;
    if (left === 0) client.ws.reconnect();
  });
  const events = await collect(client, ['commit'], 700);
  const ids = (list) => list.map((event) => `${event.time_us} ${event.commit.rkey}`);
  const unique = [...new Set(ids(events))];
  assert.ok(unique.length < events.length, 'the event at the cursor comes again');
  assert.deepEqual(unique.slice(0, 600), ids(whole));
});

test('a cursor of the future, or none, means from now on', TIMEOUT, async (context) => {
  for (const cursor of [undefined, ago(-3600)]) {
    const from = Date.now() * 1000;
    const client = connect(context, { cursor, wantedCollections: [POST] });
    const [event] = await collect(client, ['commit'], 1);
    assert.ok(event.time_us >= from - 1000 && event.time_us <= Date.now() * 1000, `${event.time_us} for ${cursor}`);
    client.close();
  }
});
