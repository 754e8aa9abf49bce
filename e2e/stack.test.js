// The whole of it on an emulator, from apply to destroy. EMULATOR is localstack (default) or ministack, and
// BIRDSONG_BINARIES is the folder that `make e2e` built into.
//
// The same posts go through the embedded run and through Kinesis, the aggregator and DynamoDB; both
// APIs must then return the same, field by field, whatever happens on the way.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { chromium } from 'playwright-core';

import { Emulator, kinesisEvent } from './aws.js';
import { burstPosts, burstRegions } from './burst.js';
import { countReads, view } from './reads.js';
import { environmentOf, freePort, processesWith, run, start, until, which } from './run.js';

const root = path.resolve(import.meta.dirname, '..');
process.chdir(root);
const emulator = process.env.EMULATOR ?? 'localstack';
const isLocalStack = emulator === 'localstack';
const binaries = path.resolve(process.env.BIRDSONG_BINARIES ?? 'target/debug');
const birdsong = path.join(binaries, 'birdsong');
const POSTS = 40_000;
// A port of its own, so that both emulators can run at the same time.
const port = process.env.BIRDSONG_EMULATOR_PORT ?? String(await freePort());
const local = (action) => run('scripts/local.sh', [action, emulator], {
  BIRDSONG_STREAMER: '0', BIRDSONG_BINARIES: binaries, BIRDSONG_EMULATOR_PORT: port,
});

/** Changes that a second plan may show, because the emulator forgets or alters a setting: see EMULATORS.md. */
const KNOWN_DRIFT = {
  localstack: [/\.aws_kinesis_stream\./, /\.aws_cloudwatch_metric_alarm\./, /\.aws_cloudwatch_composite_alarm\./],
  ministack: [
    /\.aws_kinesis_stream\./, /\.aws_cloudwatch_metric_alarm\./, /\.aws_cloudwatch_composite_alarm\./, /\.aws_lambda_event_source_mapping\./,
    /\.aws_ecs_service\./, /\.aws_cloudfront_response_headers_policy\./, /\.aws_api_gateway_stage\./, /\.aws_security_group\./,
    // The hundred pages publish versions of the api, which the release names.
    /^aws_ssm_parameter\.release$/,
  ],
}[emulator];

const dir = mkdtempSync(path.join(tmpdir(), 'birdsong-e2e-'));
const corpus = path.join(dir, 'posts.ndjson');
let outputs, aws, environment, expected;

const value = (name) => outputs[name].value;

async function get(base, address) {
  const answer = await fetch(base + address);
  const text = await answer.text();
  assert.equal(answer.status, 200, `${base}${address}: ${text}`);
  return JSON.parse(text);
}

/** Everything that an API returns about the corpus. */
async function everything(base) {
  const { regions } = await get(base, '/api/regions');
  const windowsOf = {};
  for (const region of regions) {
    windowsOf[region.id] = [];
    // From windows, and from hours and days that the digest may have rolled up.
    for (const step of ['5m', '1h', '1d']) {
      const query = new URLSearchParams({ region: region.id, from: expected.from, to: expected.to, step });
      const { as_of: _, ...answer } = await get(base, `/api/windows?${query}`);
      windowsOf[region.id].push(answer);
    }
  }
  return { regions, windowsOf };
}

/** Without what a reprocess changes by intent: that it was one, and when. */
function withoutLifecycle(all) {
  return JSON.parse(JSON.stringify(all, (key, field) => (['lifecycle', 'revision'].includes(key) ? undefined : field)));
}

const cloud = () => ['--stream', value('stream'), '--table', value('table'), '--data', path.join(dir, 'cloud')];

async function reprocess() {
  const args = ['reprocess', ...cloud(), '--from', expected.from, '--to', expected.to, '--json'];
  const lines = (await run(birdsong, args, environment)).trim().split('\n').map((line) => JSON.parse(line));
  return lines.at(-1);
}

/** What the embedded run serves from a data folder. */
async function embedded(folder) {
  const args = ['run', '--source', 'none', '--port', '0', '--data', path.join(dir, folder)];
  const { child, found } = await start(birdsong, args, /http:\/\/localhost:\d+/);
  try {
    return await everything(found[0].replace('localhost', '127.0.0.1'));
  } finally {
    child.kill('SIGTERM');
  }
}

before(async () => {
  const status = await run('localstack/emulator.sh', ['status', emulator]).catch(() => null);
  if (status) throw new Error(`${status.trim()}: these tests need it for themselves; make local-down EMULATOR=${emulator} stops it`);
  await local('up');
  outputs = JSON.parse(await local('outputs'));
  const endpoint = new URL(value('api_url')).origin;
  aws = new Emulator(endpoint);
  environment = {
    AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_REGION: 'us-east-1', AWS_ENDPOINT_URL: endpoint,
    BIRDSONG_AUTHOR_KEY: '000102030405060708090a0b0c0d0e0f',
  };
  const posts = await run(path.join(binaries, 'examples/corpus'), [String(POSTS)]);
  writeFileSync(corpus, `${posts}not a post\n`);

  // What one machine counts when the posts are sent once, and twice.
  const replays = [];
  for (const times of [1, 2]) {
    const data = path.join(dir, `embedded-${times}`);
    for (let time = 0; time < times; time += 1) {
      replays.push(await run(birdsong, ['replay', '--json', '--data', data, corpus], environment));
    }
  }
  const windows = replays[0].trim().split('\n').map((line) => JSON.parse(line));
  const edges = windows.flatMap((window) => [window.window_start, window.window_end]).sort();
  expected = { from: edges[0], to: edges.at(-1) };
  expected.once = await embedded('embedded-1');
  expected.twice = await embedded('embedded-2');
  const posts_counted = windows.reduce((sum, window) => sum + window.posts, 0);
  assert.ok(windows.length > 8 && posts_counted >= POSTS * 0.9, `${windows.length} windows, ${posts_counted} posts`);
});

after(async () => {
  await local('down');
  rmSync(dir, { recursive: true, force: true });
});

test('posts sent through Kinesis make the same windows, though the aggregator is killed', async () => {
  const sending = run(birdsong, ['replay', '--to', 'kinesis', '--json', ...cloud(), corpus], environment);
  if (isLocalStack) {
    // Functions of another emulator have the same name; the marker is this emulator's own (localstack/emulator.sh).
    const leader = readFileSync(`localstack/.run/${emulator}/pid`, 'utf8').trim();
    const marker = environmentOf(leader).find((line) => line.startsWith('BIRDSONG_EMULATOR='));
    assert.ok(marker, 'the emulator runs without its marker');
    const name = `AWS_LAMBDA_FUNCTION_NAME=${value('aggregator_function')}`;
    const killed = await until('a running aggregator', () => processesWith(marker, name).map((pid) => process.kill(pid, 'SIGKILL')).length);
    assert.ok(killed >= 1);
  }
  await sending;
  await until('the same windows', async () => {
    assert.deepEqual(await everything(value('api_url')), expected.once);
    return true;
  }, 300);
});

test('sent again, no post is sent', async () => {
  const args = ['replay', '--to', 'kinesis', ...cloud(), corpus];
  assert.match(await run(birdsong, args, environment), new RegExp(`sent 0 .*duplicates ${POSTS} `));
  await until('the ledger of the second time', async () => {
    assert.deepEqual(await everything(value('api_url')), expected.twice);
    return true;
  });
});

test('a batch that is delivered twice changes nothing', async () => {
  const records = (await aws.records(value('stream'))).slice(0, 40);
  assert.ok(records.length > 4);
  const event = kinesisEvent(records, 'arn:aws:kinesis:us-east-1:000000000000:stream/birdsong');
  for (let times = 0; times < 2; times += 1) {
    assert.deepEqual(await aws.invoke(value('aggregator_function'), event), { batchItemFailures: [] });
  }
  await same(expected.twice);
});

test('a record that is no frame goes to quarantine and holds nothing up', async () => {
  const before = expected.twice;
  await same(before);
  const poison = Buffer.from('no frame').toString('base64');
  await aws.kinesis('PutRecord', { StreamName: value('stream'), PartitionKey: 'paris#x#0', Data: poison });
  const bucket = value('quarantine_bucket');
  const keys = await until('the quarantined record', async () => {
    const found = (await aws.keys(bucket)).filter((key) => key.startsWith('quarantine/'));
    return found.length && found;
  });
  assert.equal(keys.length, 1);
  await same(before);
});

/** Waits until the API answers this: each copy of its function keeps answers for some seconds. */
async function same(wanted) {
  await until('the same answers', async () => {
    assert.deepEqual(await everything(value('api_url')), wanted);
    return true;
  }, 30);
}

/**
 * How long the digest may take, in seconds: it waits 90 s after a change, first of an hour and then of its day, and up to six
 * minutes when another copy of the function takes over.
 */
const DIGEST_SECS = 900;

/** Runs the digest until it has no more to do, and counts the roll-ups that it stored. */
async function digest() {
  let stored = 0;
  await until('the digest to be done', async () => {
    stored += (await aws.invoke(value('digest_function'), {})).rollups;
    const { Items } = await aws.dynamodb('Query', {
      TableName: value('table'),
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :sk)',
      ExpressionAttributeValues: { ':pk': { S: '_live' }, ':sk': { S: 'change#' } },
    });
    // Hours of today are not final.
    return Items.every(({ sk }) => sk.S.split('#')[2] >= expected.to);
  }, DIGEST_SECS, 5);
  return stored;
}

test('the digest rolls up hours and days, which say what the windows say', async () => {
  const before = expected.twice;
  await same(before);
  assert.ok(await digest() > 8);
  await until('the same from roll-ups', async () => {
    assert.deepEqual(await everything(value('api_url')), before);
    return true;
  }, 30);
  assert.equal(await digest(), 0, 'again, there is nothing to do');
  const { version, regions } = await get(value('api_url'), '/api/overview');
  assert.match(version, /^[0-9a-f]+$/);
  assert.deepEqual(regions.map(({ region }) => region), before.regions.map(({ id }) => id));
});

test('a reprocess finds nothing to change, repairs what was damaged, and then finds nothing again', async () => {
  const before = expected.twice;
  await same(before);
  assert.equal((await reprocess()).changed, 0);
  await same(before);

  const { Items } = await aws.dynamodb('Scan', { TableName: value('table') });
  // The record that is no frame is of today, and of no window of the corpus.
  const isOfCorpus = ({ sk }) => sk.S >= expected.from && sk.S < expected.to;
  // Those with a generation: not roll-ups.
  const [window] = Items.filter((item) => item.s && item.g && isOfCorpus(item));
  await aws.dynamodb('DeleteItem', { TableName: value('table'), Key: { pk: window.pk, sk: window.sk } });
  assert.equal((await reprocess()).changed, 1);
  assert.equal((await reprocess()).changed, 0);
  await until('the API to return the window again', async () => {
    assert.deepEqual(withoutLifecycle(await everything(value('api_url'))), withoutLifecycle(before));
    return true;
  }, 20);
});

// The procedures of docs/runbook.md, with the AWS CLI.

/** Runs scripts/runbook.sh without questions. */
const runbook = (...args) => run('scripts/runbook.sh', args, { ...environment, AUTO_APPROVE: '1', POLL_SECS: '1', WAIT_SECS: '120' });

const hasCli = Boolean(which('aws'));

/** Writes a batch that was given up into the bucket, as Lambda does. */
async function giveUp(records, name) {
  const event = kinesisEvent(records, 'arn:aws:kinesis:us-east-1:000000000000:stream/birdsong');
  const body = JSON.stringify({ requestContext: { condition: 'RetryAttemptsExhausted' }, payload: JSON.stringify(event) });
  await aws.put(value('quarantine_bucket'), `aws/lambda/uuid/shard/2026/11/27/${name}`, body);
}

test('batches that were given up are replayed, and what was folded before changes nothing', { skip: !hasCli && 'there is no AWS CLI' }, async () => {
  const of = await everything(value('api_url'));
  const before = (await aws.records(value('stream'))).length;
  const records = (await aws.records(value('stream'))).slice(0, 6);
  await giveUp(records.slice(0, 4), 'one');
  await giveUp(records.slice(4), 'two');
  await runbook('replay-failures');
  const all = await aws.records(value('stream'));
  const content = (list) => list.map(({ PartitionKey, Data }) => `${PartitionKey} ${Data}`).sort();
  assert.deepEqual(content(all.slice(before)), content(records), 'the same bytes, under the same lanes');
  const keys = await aws.keys(value('quarantine_bucket'));
  assert.deepEqual(keys.filter((key) => key.startsWith('aws/lambda/')), []);
  assert.equal(keys.filter((key) => key.startsWith('replayed/')).length, 2);
  await new Promise((resolve) => { setTimeout(resolve, 15_000); });
  assert.deepEqual(withoutLifecycle(await everything(value('api_url'))), withoutLifecycle(of));
});

test('a window that the store lost is folded again from a batch that was given up', async () => {
  const of = await everything(value('api_url'));
  const { Items } = await aws.dynamodb('Scan', { TableName: value('table') });
  // Of one record alone, so that this record is all that it takes.
  const [lost] = Items.filter((item) => item.f && item.sk.S >= expected.from && item.sk.S < expected.to);
  const lane = `${lost.pk.S.split('#')[0]}#${lost.sk.S.split('#').slice(1).join('#')}`;
  await aws.dynamodb('DeleteItem', { TableName: value('table'), Key: { pk: lost.pk, sk: lost.sk } });
  const records = (await aws.records(value('stream'))).filter(({ PartitionKey }) => PartitionKey === lane);
  assert.ok(records.length > 0, lane);
  await giveUp(records, 'lost');
  const letters = (action, ...args) => run(birdsong, ['deadletters', action, ...args, '--quarantine-bucket', value('quarantine_bucket')], environment);
  const groups = (await letters('list', '--json')).trim().split('\n').map((line) => JSON.parse(line));
  // The record that is no frame is one, too.
  assert.deepEqual(groups.map(({ kind, letters: number }) => [kind, number]).sort(), [['batch', 1], ['record', 1]]);
  const { example } = groups.find(({ kind }) => kind === 'batch');
  assert.match(await letters('retry', example, ...cloud()), new RegExp(`${records.length} records appended`));
  assert.doesNotMatch(await letters('list'), /batch/);
  await until('the window to be there again', async () => {
    assert.deepEqual(withoutLifecycle(await everything(value('api_url'))), withoutLifecycle(of));
    return true;
  }, 60);
});

test('the page from the bucket draws the windows', { skip: !isLocalStack && 'MiniStack serves no website' }, async () => {
  const site = new URL(value('site_url'));
  // Not the one of the record that is no frame, whose newest window is of today and has no posts.
  const region = expected.once.regions.find(({ id }) => id !== 'paris').id;
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? ['chromium', 'google-chrome'].map(which).find(Boolean),
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', `--host-resolver-rules=MAP ${site.hostname} 127.0.0.1`,
    ],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const problems = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.goto(`${site}?${new URLSearchParams({ region })}`);
    await page.waitForSelector('#main:not(.loading)', { timeout: 30_000 });
    const posts = await page.textContent('#tile-posts');
    await page.screenshot({ path: path.join(root, 'localstack/.run/page.png') });
    assert.match(posts.replace(/\D+/g, ' '), /\d/, posts);
    // The chart is drawn a moment after the numbers.
    await page.waitForFunction(() => {
      const canvas = /** @type {HTMLCanvasElement} */ (document.getElementById('chart-posts'));
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.some((byte, at) => at % 4 === 3 && byte > 0);
    }, null, { timeout: 15_000 });
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
  }
});

test('windows go from one machine to a table and back, byte for byte', async () => {
  const TableName = 'birdsong-copy';
  const key = (AttributeName, KeyType) => ({ AttributeName, KeyType });
  await aws.dynamodb('CreateTable', {
    TableName,
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: ['pk', 'sk'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    KeySchema: [key('pk', 'HASH'), key('sk', 'RANGE')],
  });
  await until('the table', async () => (await aws.dynamodb('DescribeTable', { TableName })).Table.TableStatus === 'ACTIVE', 60);
  const [machine, table, back] = [path.join(dir, 'embedded-1'), `dynamodb:${TableName}`, path.join(dir, 'back')];
  const copy = async (from, to) => JSON.parse(await run(birdsong, ['copy', '--json', '--from', from, '--to', to], environment));
  const { copied, ...others } = await copy(machine, table);
  assert.ok(copied > 8);
  assert.deepEqual(others, { replaced: 0, same: 0, kept: 0, damaged: 0, documents: 0, kept_documents: 0 });
  assert.equal((await copy(table, back)).copied, copied);
  // It compares the bytes of both.
  assert.deepEqual(await copy(machine, back), { copied: 0, ...others, same: copied });
  const { windowsOf } = await embedded('back');
  assert.deepEqual(windowsOf, expected.once.windowsOf);
  await aws.dynamodb('DeleteTable', { TableName });
});

/** Runs SQL in a data folder. Results are rows of texts. */
async function sql(folder, file, ...statements) {
  const program = `
import json, sqlite3, sys
base = sqlite3.connect(sys.argv[1])
rows = [row for text in sys.argv[2:] for row in base.execute(text).fetchall()]
base.commit()
print(json.dumps(rows))`;
  return JSON.parse(await run('python3', ['-c', program, path.join(dir, folder, file), ...statements]));
}

test('an archive in a bucket is written, verified, folded again to the same bytes, and pruned', async () => {
  const [folder, bucket] = ['archived', 'birdsong-archive-test'];
  const data = path.join(dir, folder);
  await aws.bucket('PUT', bucket);
  const archive = (...args) => run(birdsong, ['archive', ...args], environment);
  const place = `s3://${bucket}`;
  const write = () => archive('write', place, '--data', data);
  await run(birdsong, ['replay', '--json', '--data', data, corpus], environment);
  assert.match(await write(), /Nothing to write/, 'today is not over');
  // It all happened three days ago.
  await sql(folder, 'log.sqlite', 'UPDATE record SET arrived_ms = arrived_ms - 3 * 86400000');
  assert.match(await write(), /\d+ posts, \d+ records/);
  assert.match(await write(), /Nothing to write/, 'once');
  const [, posts] = (await archive('verify', place)).match(/ (\d+) posts: 0 damaged/);
  assert.ok(Number(posts) >= POSTS * 0.9, posts);
  const listed = (await archive('list', place, '--json')).trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(listed.reduce((sum, line) => sum + line.posts, 0), Number(posts));
  const keys = await aws.keys(bucket);
  assert.ok(keys.some((key) => key.startsWith('manifests/')) && keys.some((key) => key.startsWith('region=')), String(keys));

  // Somewhere else, the archive alone gives the same windows.
  const copied = JSON.parse(await run(birdsong, ['replay', '--json', '--data', path.join(dir, 'elsewhere'), place], environment));
  const keysOf = 'SELECT region, lane, window_start FROM partial ORDER BY 1, 2, 3';
  const here = await sql(folder, 'store.sqlite', keysOf);
  assert.deepEqual([copied.posts, copied.copied, copied.kept, copied.damaged_records], [Number(posts), here.length, 0, 0]);
  assert.deepEqual(await sql('elsewhere', 'store.sqlite', keysOf), here);

  // The log forgets, and the windows are lost.
  await sql(folder, 'log.sqlite', 'INSERT INTO pruned (id, before_ms) SELECT 0, max(arrived_ms) + 1 FROM record', 'DELETE FROM record');
  const windows = () => sql(folder, 'store.sqlite', 'SELECT region, lane, window_start, hex(state) FROM partial ORDER BY 1, 2, 3');
  const before = await windows();
  assert.ok(before.length > 8);
  await sql(folder, 'store.sqlite', 'DELETE FROM partial');
  const again = async () => {
    const args = ['reprocess', '--json', '--from', expected.from, '--to', expected.to, '--archive', place, '--data', data];
    return JSON.parse((await run(birdsong, args, environment)).trim().split('\n').at(-1)).changed;
  };
  assert.equal(await again(), before.length);
  assert.deepEqual(await windows(), before, 'byte for byte');
  assert.equal(await again(), 0);

  // An object that is damaged is named, and nothing is folded from it.
  const damaged = keys.find((key) => key.startsWith('region=') && !key.includes('_stream'));
  await aws.put(bucket, encodeURI(damaged), 'damaged');
  await assert.rejects(archive('verify', place), (/** @type {any} */ error) => error.message.includes(damaged));
  await assert.rejects(again(), (/** @type {any} */ error) => error.message.includes(damaged));
  assert.deepEqual(await windows(), before);

  // The days of the records are gone; those since then stay, and have no posts.
  assert.match(await archive('prune', place, '--keep', '2d'), /days removed/);
  assert.deepEqual((await aws.keys(bucket)).filter((key) => key.includes('day=')), []);
  const left = await aws.keys(bucket);
  for (const key of await aws.keys(bucket)) await aws.remove(bucket, key);
  await aws.bucket('DELETE', bucket);
  assert.ok(left.every((key) => key.startsWith('manifests/')), String(left));
});

test('a streamer sends live posts, reports its state, and drains when it is stopped', async () => {
  const args = ['stream', '--to', 'kinesis', ...cloud(), '--source', 'demo:?backfill=10m', '--health-port', '0'];
  const { child, found } = await start(birdsong, args, /health at (http:\S+)/, environment);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  try {
    const source = await until('the streamer to be connected', async () => {
      const health = await get(found[1], '');
      return health.ok && health.sources.find(({ source, status }) => source === 'demo' && status === 'connected');
    }, 60);
    assert.ok(source.connected_since);
    await until('live posts in the API', async () => {
      const { sources, freshness_secs } = await get(value('api_url'), '/api/status');
      return sources.some(({ source, status }) => source === 'demo' && status === 'connected') && freshness_secs < 60;
    });
  } finally {
    child.kill('SIGTERM');
  }
  const patience = setTimeout(() => child.kill('SIGKILL'), 30_000);
  assert.equal(await ended, 0, 'Fargate would have killed it');
  clearTimeout(patience);
  await until('the API to say that it stopped', async () => {
    const { sources } = await get(value('api_url'), '/api/status');
    return sources.some(({ source, status }) => source === 'demo' && status === 'stopped');
  }, 60);
});

test('a burst becomes an event and one alert, and a note is served beside it', async () => {
  const received = [];
  const webhook = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => { body += part; });
    request.on('end', () => {
      received.push(JSON.parse(body));
      response.end();
    });
  });
  const port = await freePort();
  await new Promise((resolve) => webhook.listen(port, '127.0.0.1', () => resolve(null)));
  const { lines, burst, posts } = burstPosts(Date.now());
  const [file, regions] = ['burst.ndjson', 'burst.toml'].map((name) => path.join(dir, name));
  writeFileSync(file, lines);
  writeFileSync(regions, burstRegions(`http://127.0.0.1:${port}/desk`));
  try {
    // The log has the record that is no frame; it had none of these posts.
    const replayed = await run(birdsong, ['replay', '--to', 'kinesis', ...cloud(), '--regions', regions, '--despite-damage', file], environment);
    assert.match(replayed, new RegExp(`sent ${posts} `));
    // What streams publishes the alerts; a replay publishes regions only.
    const args = ['stream', '--to', 'kinesis', ...cloud(), '--regions', regions, '--source', 'demo:?backfill=1m', '--health-port', '0'];
    const { child } = await start(birdsong, args, /health at (http:\S+)/, environment);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGTERM');
    await ended;

    const query = new URLSearchParams({ region: 'burstville', from: new Date(burst.from - 3_600_000).toISOString() });
    const found = await until('the burst as an event, and its alert', async () => {
      await aws.invoke(value('digest_function'), {});
      const { events } = await get(value('api_url'), `/api/events?${query}`);
      const spike = events.find(({ kind }) => kind === 'spike');
      return received.length > 0 && spike && { spike, rising: events.filter(({ kind }) => kind === 'rising') };
    }, DIGEST_SECS, 5);
    assert.equal(Date.parse(found.spike.start), burst.from);
    assert.deepEqual(found.spike.carriers.map(({ subject }) => subject.name), ['Goal']);
    assert.deepEqual(found.rising.map(({ subject }) => subject.name), ['Goal']);
    for (let times = 0; times < 3; times += 1) await aws.invoke(value('digest_function'), {});
    assert.deepEqual(received.map(({ message, event }) => [message, event.id]), [['new', found.spike.id]], 'each event once');
    assert.match(received[0].title, /^Burstville: \d+ posts in 15 minutes, usually 1\d/);

    const note = ['note', 'add', 'burstville', 'Final of the cup', '--at', found.spike.start, '--table', value('table')];
    const id = (await run(birdsong, note, environment)).trim();
    const { events } = await get(value('api_url'), `/api/events?${query}&kind=note`);
    assert.deepEqual(events.map((one) => [one.id, one.text, one.start]), [[id, 'Final of the cup', found.spike.start]]);
  } finally {
    webhook.close();
  }
});

/** What a hundred pages may cost the table in a minute, in read units. One costs 17 to 22: more towards the end of an hour, which has no roll-up yet. */
const MAX_UNITS = 50;

// LocalStack stops a function to change its settings, and takes half a minute for it.
test('a hundred pages cost the table no more reads than one', { skip: isLocalStack && 'one emulator is enough' }, async () => {
  const proxy = await countReads(aws.endpoint);
  const name = value('api_function');
  const was = await aws.configuration(name);
  const args = ['stream', '--to', 'kinesis', ...cloud(), '--source', 'demo:?backfill=1d', '--health-port', '0'];
  const { child } = await start(birdsong, args, /health at (http:\S+)/, environment);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  try {
    await aws.configure(name, { ...was, AWS_ENDPOINT_URL_DYNAMODB: proxy.url });
    await until('the function to read through the proxy', async () => {
      await get(value('api_url'), '/api/overview');
      return proxy.reads.calls > 0;
    }, 60);
    const [region] = expected.once.regions;
    const cost = async (pages) => {
      const before = proxy.reads.units;
      const answers = await view(value('api_url'), region.id, pages, 60);
      return { pages, answers, units: proxy.reads.units - before };
    };
    // A function that has just started reads more: it does not know yet which windows change no more.
    await view(value('api_url'), region.id, 1, 110);
    const one = await cost(1);
    let hundred = await cost(100);
    // The emulator may have started it again in that minute.
    for (let tries = 1; tries < 4 && hundred.units > MAX_UNITS; tries += 1) hundred = await cost(100);
    console.log(`# read units a minute: ${JSON.stringify([one, hundred])}`);
    assert.ok(hundred.answers > 30 * one.answers, 'there are many viewers');
    assert.ok(hundred.units <= MAX_UNITS, `${hundred.units} read units a minute`);
    // Between two looks of one page the answers expire; those of many pages share them.
    assert.ok(hundred.units <= 2.5 * one.units + 4, `${hundred.units} read units for a hundred pages, ${one.units} for one`);
  } finally {
    await aws.configure(name, was);
    child.kill('SIGTERM');
    await ended;
    proxy.close();
  }
});

test('a second plan has nothing but what the emulator is known to forget', async () => {
  const { resource_changes: changes = [] } = JSON.parse(await local('plan'));
  const others = changes
    .filter(({ change }) => change.actions.some((action) => action !== 'no-op' && action !== 'read'))
    .filter(({ address }) => !KNOWN_DRIFT.some((known) => known.test(address)));
  assert.deepEqual(others.map(({ address, change }) => [address, change.actions]), []);
});

// These are last: the emulators follow no split of a shard, and a restored table lacks tags.

test('aggregator and digest pause and resume', { skip: !hasCli && 'there is no AWS CLI' }, async () => {
  await runbook('pause');
  assert.deepEqual(await aws.mappings(), ['Disabled']);
  await runbook('resume');
  assert.deepEqual(await aws.mappings(), ['Enabled']);
});

test('the stream gets more shards, and fewer', { skip: !hasCli && 'there is no AWS CLI' }, async () => {
  // kinesis-mock does not merge two shards that came from three.
  for (const shards of isLocalStack ? ['3'] : ['3', '1']) {
    await runbook('shards', shards);
    const { StreamDescriptionSummary } = await aws.kinesis('DescribeStreamSummary', { StreamName: value('stream') });
    assert.equal(StreamDescriptionSummary.OpenShardCount, Number(shards));
  }
});

test('the table is restored under its own name', { skip: (!hasCli && 'there is no AWS CLI') || (isLocalStack && 'DynamoDB Local restores nothing') }, async () => {
  const items = async () => {
    const { Items } = await aws.dynamodb('Scan', { TableName: value('table') });
    // Without settings and the overview, which are written all the time.
    return Items.filter((item) => item.f).map((item) => JSON.stringify(item)).sort();
  };
  const before = await items();
  assert.ok(before.length > 8);
  await runbook('restore-table', 'latest');
  assert.deepEqual(await items(), before);
  assert.deepEqual(await aws.mappings(), ['Enabled']);
  const { TimeToLiveDescription } = await aws.dynamodb('DescribeTimeToLive', { TableName: value('table') });
  assert.equal(TimeToLiveDescription.TimeToLiveStatus, 'ENABLED');
  await aws.dynamodb('DeleteTable', { TableName: `${value('table')}-restored` });
});

// Neither emulator enforces IAM: a key that no role may write would show on AWS alone.
test('every item is of a partition that a role may write', async () => {
  const { Items } = await aws.dynamodb('Scan', { TableName: value('table'), ProjectionExpression: 'pk' });
  const policies = ['aggregator', 'digest', 'streamer'].map((part) => {
    const file = { aggregator: 'aggregator/main.tf', digest: 'digest/main.tf', streamer: 'streamer/roles.tf' }[part];
    return readFileSync(`infra/modules/${file}`, 'utf8');
  });
  const patterns = policies.flatMap((text) => [...text.matchAll(/"([_*][^"]*)"/g)].map((match) => match[1]))
    .flatMap((pattern) => (pattern.includes('${kind}') ? ['alert', 'events', 'series', 'watch'].map((kind) => pattern.replace('${kind}', kind)) : [pattern]))
    .filter((pattern) => /^(\*#|_)/.test(pattern));
  assert.ok(patterns.length > 8, String(patterns));
  const known = patterns.map((pattern) => new RegExp(`^${pattern.replaceAll('?', '.').replaceAll('*', '.*')}$`));
  // Notes, and records of a reprocess, are written by people, with their own permissions.
  const others = new Set(Items.map(({ pk }) => pk.S).filter((pk) => !/#(notes|revisions)#/.test(pk) && !known.some((pattern) => pattern.test(pk))));
  assert.deepEqual([...others], []);
});

test('destroy leaves nothing', async () => {
  await local('destroy');
  assert.deepEqual((await aws.kinesis('ListStreams', {})).StreamNames, []);
  assert.deepEqual((await aws.dynamodb('ListTables', {})).TableNames, []);
  assert.deepEqual(await aws.functions(), []);
  assert.deepEqual(await aws.buckets(), []);
});
