// The function of CloudFront that decides who may look. scripts/infra-check.sh runs this: node --test infra/tests/*.test.mjs
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import test from 'node:test';
import vm from 'node:vm';

const source = readFileSync(new URL('../modules/site/viewer_auth.js', import.meta.url), 'utf8');
const require = createRequire(import.meta.url);

/** The handler with these settings, as Terraform puts them before it. */
function handlerWith(settings) {
  const code = `const SETTINGS = ${JSON.stringify(settings)};\n${source}\nhandler;`;
  return vm.runInNewContext(code, { Buffer, require: (name) => (name === 'crypto' ? require(name) : assert.fail(name)) });
}

/** An event of a viewer, as CloudFront passes it. */
function eventFrom({ ip = '198.51.100.7', authorization, method = 'GET', uri = '/api/overview' } = {}) {
  const headers = { host: { value: 'd1.cloudfront.net' }, accept: { value: '*/*' } };
  if (authorization !== undefined) headers.authorization = { value: authorization };
  return {
    version: '1.0',
    context: { eventType: 'viewer-request' },
    viewer: { ip },
    request: { method, uri, querystring: { region: { value: 'halifax' } }, headers, cookies: {} },
  };
}

const hashOf = (text) => createHash('sha256').update(text).digest('hex');
const basic = (text) => `Basic ${Buffer.from(text).toString('base64')}`;
const KNOWN = ['ann:correct horse', 'ben:päss:with:colons'];
const basicHandler = handlerWith({ credentials: KNOWN.map(hashOf) });

const isRefused = (answer) => answer.statusCode !== undefined;

test('each credential opens the page, and goes no further', () => {
  for (const known of KNOWN) {
    const event = eventFrom({ authorization: basic(known) });
    const expected = structuredClone(event.request);
    delete expected.headers.authorization;
    assert.deepEqual(basicHandler(event), expected, known);
  }
});

test('the scheme may be written in any case, with spaces around the credentials', () => {
  for (const scheme of ['basic', 'BASIC', 'Basic  ']) {
    const authorization = `${scheme} ${basic(KNOWN[0]).slice(6)} `;
    assert.equal(isRefused(basicHandler(eventFrom({ authorization }))), false, authorization);
  }
});

test('without a known credential the browser is asked for one', () => {
  const wrong = [
    undefined, '', 'Basic', 'Basic ', 'Basic !!!', 'Basic =', basic(''), basic(':'), basic('ann'), basic('ann:'),
    basic('ann:correct hors'), basic('ann:correct horse '), basic('Ann:correct horse'), basic('ben:correct horse'),
    basic(hashOf(KNOWN[0])), `Basic ${hashOf(KNOWN[0])}`, `Bearer ${basic(KNOWN[0]).slice(6)}`,
    `${basic(KNOWN[0])}, ${basic(KNOWN[0])}`, `x ${basic(KNOWN[0])}`, `Basic ${'A'.repeat(8000)}`,
  ];
  for (const authorization of wrong) {
    const answer = basicHandler(eventFrom({ authorization }));
    assert.equal(answer.statusCode, 401, authorization);
    assert.match(answer.headers['www-authenticate'].value, /^Basic realm="[^"]+"/);
    assert.equal(answer.headers['cache-control'].value, 'no-store');
  }
});

test('every method and path needs the credential', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS']) {
    for (const uri of ['/', '/index.html', '/config.json', '/api/overview']) {
      assert.equal(basicHandler(eventFrom({ method, uri })).statusCode, 401, `${method} ${uri}`);
    }
  }
});

test('a comparison reads all of every hash, whichever matches', () => {
  // Strings that count how many of their characters are read.
  const count = `
    const isSameAs = (a, b) => {
      let reads = 0;
      const counted = { length: b.length, charCodeAt: (i) => { reads += 1; return b.charCodeAt(i); } };
      return [isSame(a, counted), reads];
    };
    isSameAs;`;
  const isSameAs = vm.runInNewContext(`const SETTINGS = {};\n${source}\n${count}`, { Buffer, require });
  const hash = hashOf('a');
  const near = [hash, `0${hash.slice(1)}`, `${hash.slice(0, -1)}0`, hashOf('b'), '0'.repeat(64)];
  for (const other of near) assert.deepEqual([...isSameAs(hash, other)], [other === hash, 64], other);
  assert.equal(isSameAs(hash, `${hash}${hash}`)[0], false);
  assert.equal(isSameAs(hash, hash.slice(0, 63))[0], false);
  assert.equal(isSameAs(hash, '')[0], false);
});

test('no credentials, no entry', () => {
  assert.equal(handlerWith({ credentials: [] })(eventFrom({ authorization: basic(KNOWN[0]) })).statusCode, 401);
});

const inside = [
  ['203.0.113.0/24', '203.0.113.0', '203.0.113.255', '::ffff:203.0.113.9', '::FFFF:cb00:7109'],
  ['203.0.113.77/24', '203.0.113.1'], // bits of the host do not matter
  ['203.0.113.8/29', '203.0.113.8', '203.0.113.15'],
  ['203.0.113.9/32', '203.0.113.9'],
  ['128.0.0.0/1', '128.0.0.0', '255.255.255.255'],
  ['0.0.0.0/0', '0.0.0.0', '198.51.100.7', '255.255.255.255'],
  ['2001:db8::/32', '2001:db8::', '2001:db8::1', '2001:DB8:ffff::', '2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::192.0.2.1'],
  ['2001:db8:0:8000::/49', '2001:db8:0:8000::', '2001:db8:0:ffff:ffff:ffff:ffff:ffff'],
  ['2001:db8::7/128', '2001:db8::7', '2001:db8:0:0:0:0:0:7'],
  ['::/0', '::', '::1', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '1::'],
  ['1::/16', '1:2:3:4:5:6:7::', '1::8'],
];
const outside = [
  ['203.0.113.0/24', '203.0.112.255', '203.0.114.0', '2001:db8::1', '::203.0.113.9', '::ffff:203.0.114.9'],
  ['203.0.113.8/29', '203.0.113.7', '203.0.113.16'],
  ['203.0.113.9/32', '203.0.113.8', '203.0.113.11'],
  ['128.0.0.0/1', '127.255.255.255'],
  ['0.0.0.0/0', '::', '2001:db8::1'],
  ['2001:db8::/32', '2001:db9::', '2001:db7:ffff::', '203.0.113.1'],
  ['2001:db8:0:8000::/49', '2001:db8:0:7fff:ffff:ffff:ffff:ffff', '2001:db8:1:8000::'],
  ['2001:db8::7/128', '2001:db8::6'],
  ['::/0', '203.0.113.1', '::ffff:203.0.113.1'],
];

test('addresses of a network are let in', () => {
  for (const [cidr, ...addresses] of inside) {
    for (const ip of addresses) {
      const event = eventFrom({ ip });
      assert.deepEqual(handlerWith({ cidrs: ['192.0.2.0/32', cidr] })(event), event.request, `${ip} in ${cidr}`);
    }
  }
});

test('other addresses are refused', () => {
  for (const [cidr, ...addresses] of outside) {
    for (const ip of addresses) {
      const answer = handlerWith({ cidrs: [cidr] })(eventFrom({ ip }));
      assert.equal(answer.statusCode, 403, `${ip} in ${cidr}`);
      assert.equal(answer.headers['cache-control'].value, 'no-store');
    }
  }
});

test('what is no address is in no network', () => {
  const all = handlerWith({ cidrs: ['0.0.0.0/0', '::/0'] });
  const wrong = [
    '', '1', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', '1.2.3.x', ':', ':::', '1:2', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9',
    '1::2::3', '12345::', 'g::', '1:2:3:4:5:6:7:8::', '1.2.3.4::', '1:2:3:4:5:6:7:8::9::', '::1.2.3', '::1.2.3.4:5', 'fe80::1%eth0',
  ];
  for (const ip of wrong) assert.equal(all(eventFrom({ ip })).statusCode, 403, ip);
});

test('a credential does not replace an address', () => {
  const only = handlerWith({ cidrs: ['203.0.113.0/24'] });
  assert.equal(only(eventFrom({ authorization: basic(KNOWN[0]) })).statusCode, 403);
});
