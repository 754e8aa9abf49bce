// Whether a deployment works, by /api/status: prints ok or waiting, and why.
//   status.mjs URL SINCE answer|windows       asks the URL
//   status.mjs FILE SINCE answer|windows      reads what the api function answered to status.mjs request
//   status.mjs request                        prints a request for /api/status, as API Gateway makes it
// `answer` needs an answer; `windows` a connected source too, and a post or a window that is newer than SINCE, seconds since 1970.

import { readFileSync } from 'node:fs';

const TIMEOUT_MS = 20_000;

/** @returns {Promise<{ statusCode: number, body: string }>} */
async function ask(/** @type {string} */ from) {
  if (!/^https?:/.test(from)) return JSON.parse(readFileSync(from, 'utf8'));
  const answer = await fetch(from, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  return { statusCode: answer.status, body: await answer.text() };
}

/** @returns {[string, string]} */
function judge(/** @type {{ statusCode: number, body: string }} */ { statusCode, body }, /** @type {number} */ sinceMs, /** @type {string} */ needs) {
  let answer;
  try {
    answer = JSON.parse(body);
  } catch {
    answer = null;
  }
  if (statusCode !== 200 || !answer) return ['waiting', `the API answers ${statusCode}: ${String(body).slice(0, 200)}`];
  if (needs === 'answer') return ['ok', 'the API answers'];
  const { sources = [], ledger = {}, newest_post: newestPost = null, window_secs: windowSecs = 300 } = answer;
  const connected = sources.filter(({ status }) => status === 'connected').map(({ source }) => source);
  const others = sources.filter(({ status }) => status !== 'connected')
    .map(({ source, status, reason }) => `${source} is ${status}${reason ? ` (${reason})` : ''}`);
  // A quiet source has no new post, but its heartbeats open a window.
  const isFresh = Date.parse(newestPost) >= sinceMs || Date.parse(ledger.to) - windowSecs * 1000 >= sinceMs;
  return [connected.length > 0 && isFresh ? 'ok' : 'waiting', [
    connected.length > 0 ? `connected: ${connected.join(', ')}` : 'no source is connected',
    ...others,
    isFresh ? 'a new window is served' : `no post or window is newer than the start; the newest window ends ${ledger.to ?? 'never'}`,
  ].join('; ')];
}

const REQUEST = {
  resource: '/{proxy+}', path: '/api/status', httpMethod: 'GET', headers: {}, multiValueHeaders: {}, queryStringParameters: null,
  multiValueQueryStringParameters: null, pathParameters: { proxy: 'api/status' }, stageVariables: null, body: null, isBase64Encoded: false,
  requestContext: {
    resourcePath: '/{proxy+}', httpMethod: 'GET', path: '/live/api/status', stage: 'live', identity: {}, requestId: 'deploy', accountId: '0',
    apiId: 'deploy', resourceId: 'deploy',
  },
};

const [from, since, needs] = process.argv.slice(2);
if (from === 'request') {
  console.log(JSON.stringify(REQUEST));
} else {
  const [state, why] = await ask(from).then((answer) => judge(answer, Number(since) * 1000, needs))
    .catch((error) => ['waiting', `the API does not answer: ${error.cause?.message ?? error.message}`]);
  console.log(state, why.replaceAll('\n', ' '));
}
