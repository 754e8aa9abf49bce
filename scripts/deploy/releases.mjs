// The releases of a deployment, from the history of the parameter that each apply writes (infra/release.tf).
//   releases.mjs choose DIR [NUMBER]   reads DIR/history.json, prints the last releases, and writes the one that runs to
//                                      DIR/current.json and the one to run, if there is one, to DIR/target.json
//   releases.mjs write DIR             writes the target to DIR/release, with the newest versions in DIR/newest-PART as held back

import { readFileSync, writeFileSync } from 'node:fs';

const FUNCTIONS = ['aggregator', 'api', 'digest'];
const PARTS = [...FUNCTIONS, 'image', 'task_definition'];
const SHOWN = 10;

const [action, dir, asked = ''] = process.argv.slice(2);
const read = (/** @type {string} */ name) => JSON.parse(readFileSync(`${dir}/${name}.json`, 'utf8'));

/** Entries with the same parts in a row are one release. */
function releases() {
  const all = [];
  for (const { Version, LastModifiedDate, Value } of read('history').Parameters.sort((a, b) => a.Version - b.Version)) {
    const content = JSON.parse(Value);
    const key = JSON.stringify(PARTS.map((part) => content[part] ?? ''));
    const last = all.at(-1);
    if (last?.key === key) {
      Object.assign(last, { content, restores: content.restores ?? last.restores });
      last.numbers.push(Version);
    } else {
      all.push({ key, content, numbers: [Version], date: LastModifiedDate, restores: content.restores });
    }
  }
  return all;
}

function choose() {
  const all = releases();
  const at = (/** @type {unknown} */ number) => all.findIndex(({ numbers }) => numbers.includes(Number(number)));
  const current = all.at(-1);
  // Before a release that was restored is what was before the original.
  const before = current.restores === undefined ? all.length - 2 : at(current.restores) - 1;
  const target = all[asked === '' ? before : at(asked)];
  for (const release of all.slice(-SHOWN)) {
    const { numbers, date, content, restores } = release;
    const mark = release === current ? 'runs' : release === target ? 'next' : '';
    const image = (content.image || 'no streamer').split('/').at(-1);
    const when = new Date(typeof date === 'number' ? date * 1000 : date).toISOString().slice(0, 19);
    const restored = restores === undefined ? '' : ` (restored ${restores})`;
    console.log(
      `${mark.padStart(4)} ${String(numbers[0]).padStart(4)}  ${when}Z  aggregator ${content.aggregator}, api ${content.api}, digest ${content.digest}, ${image}${restored}`,
    );
  }
  writeFileSync(`${dir}/current.json`, JSON.stringify(current.content));
  if (target && target !== current) writeFileSync(`${dir}/target.json`, JSON.stringify({ ...target.content, number: target.numbers[0] }));
}

/** What was newest does not run again until something newer is deployed. The secrets are those that exist now. */
function write() {
  const { number, held: _, ...target } = read('target');
  const newest = FUNCTIONS.map((part) => [part, readFileSync(`${dir}/newest-${part}`, 'utf8').trim()]);
  const held = Object.fromEntries(newest.filter(([part, version]) => version !== target[part]));
  writeFileSync(`${dir}/release`, JSON.stringify({ ...target, held, restores: number, secrets: read('current').secrets }));
}

if (action === 'choose') choose();
else write();
