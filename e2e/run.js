// Processes of ours, and patience.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** Runs a program to its end; the error of a failure has its output. */
export async function run(program, args, env = {}) {
  try {
    const done = await exec(program, args, { env: { ...process.env, ...env }, maxBuffer: 256 << 20 });
    return done.stdout;
  } catch (error) {
    throw new Error(`${program} ${args.join(' ')}: ${error.stderr || error.message}\n${error.stdout ?? ''}`, { cause: error });
  }
}

/** Starts a program and resolves to what `pattern` finds first in what it says. */
export async function start(program, args, pattern, env = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, ...env } });
  let said = '';
  const found = await new Promise((resolve, reject) => {
    child.stderr.on('data', (bytes) => {
      said += bytes;
      const match = said.match(pattern);
      if (match) resolve(match);
    });
    child.on('exit', (code) => reject(new Error(`${program} ended with ${code}: ${said}`)));
  });
  return { child, found };
}

/** Calls `ask` until its result is true, with a pause between calls; the error of a time-out has the last result or error. */
export async function until(what, ask, seconds = 120, pause = 0.5) {
  const end = Date.now() + seconds * 1000;
  for (let last; ; await sleep(pause * 1000)) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what} did not happen in ${seconds} s: ${last?.stack ?? last}`);
  }
}

/** Where a program is. */
export function which(name) {
  return process.env.PATH.split(path.delimiter).map((folder) => path.join(folder, name)).find(existsSync);
}

/** The environment of a process as `NAME=value` lines; none if it has ended. */
export function environmentOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/** Process ids whose environment has all of these lines. */
export function processesWith(...lines) {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    const environment = environmentOf(pid);
    return lines.every((line) => environment.includes(line));
  });
}

/** A port of this machine that nothing listens on. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  return port;
}
