// Viewer request function of CloudFront: lets a request through, or answers it. It runs before the cache, for the page
// and for the API. Terraform puts a line before this file: `const SETTINGS = {...};`, with either
//   { credentials: [SHA-256 of "user:password" in lower-case hexadecimal, ...] }    or
//   { cidrs: ["203.0.113.0/24", "2001:db8::/32", ...] }
// The JavaScript runtime 2.0 has no for-of, spread, destructuring, default parameters or classes.
/* global SETTINGS */

const crypto = require('crypto');

function refuse(statusCode, statusDescription, headers) {
  headers['cache-control'] = { value: 'no-store' };
  return { statusCode: statusCode, statusDescription: statusDescription, headers: headers };
}

/** Whether two texts are equal, in a time that depends on their lengths alone. */
function isSame(a, b) {
  let difference = a.length ^ b.length;
  for (let i = 0; i < b.length; i += 1) difference |= a.charCodeAt(i % a.length) ^ b.charCodeAt(i);
  return difference === 0;
}

/** Whether an Authorization header has one of the credentials. All are compared, whichever it is. */
function isKnown(header, credentials) {
  const parts = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i.exec(header);
  if (!parts) return false;
  const hash = crypto.createHash('sha256').update(Buffer.from(parts[1], 'base64')).digest('hex');
  let found = 0;
  credentials.forEach((known) => {
    found |= isSame(hash, known) ? 1 : 0;
  });
  return found === 1;
}

/** The bytes of an IPv4 address in dotted decimals, or null. */
function bytesOfIpv4(text) {
  const parts = text.split('.');
  const isAddress = parts.length === 4 && parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256);
  return isAddress ? parts.map((part) => Number(part)) : null;
}

/** The bytes of groups of an IPv6 address, such as 2001:db8, or null. The end of an address may be an IPv4 address. */
function bytesOfGroups(text, isEnd) {
  const bytes = [];
  const groups = text === '' ? [] : text.split(':');
  for (let i = 0; i < groups.length; i += 1) {
    if (/^[0-9a-f]{1,4}$/i.test(groups[i])) {
      const group = parseInt(groups[i], 16);
      bytes.push(group >> 8, group & 255);
    } else {
      const last = isEnd && i === groups.length - 1 ? bytesOfIpv4(groups[i]) : null;
      if (!last) return null;
      last.forEach((byte) => bytes.push(byte));
    }
  }
  return bytes;
}

/** The bytes of an address, 4 or 16, or null for another text. An IPv4 address mapped to IPv6 has 4. */
function bytesOf(address) {
  if (address.indexOf(':') < 0) return bytesOfIpv4(address);
  const halves = address.split('::').map((half, i, all) => bytesOfGroups(half, i === all.length - 1));
  if (halves.length > 2 || halves.indexOf(null) >= 0) return null;
  let bytes = halves[0];
  if (halves.length === 2) {
    const missing = 16 - halves[0].length - halves[1].length;
    if (missing < 2) return null;
    for (let i = 0; i < missing; i += 1) bytes.push(0);
    bytes = bytes.concat(halves[1]);
  }
  if (bytes.length !== 16) return null;
  const isMapped = bytes.every((byte, i) => i > 11 || byte === (i < 10 ? 0 : 255));
  return isMapped ? bytes.slice(12) : bytes;
}

/** Whether an address, as bytes, is in a network such as 2001:db8::/32. */
function isWithin(address, cidr) {
  const parts = cidr.split('/');
  const network = bytesOf(parts[0]);
  if (!network || network.length !== address.length) return false;
  const bits = Number(parts[1]);
  return network.every((byte, i) => {
    const rest = Math.min(Math.max(bits - 8 * i, 0), 8);
    return (byte ^ address[i]) >> (8 - rest) === 0;
  });
}

/** Whether an address is in one of the networks. One that cannot be read is in none. */
function isAllowed(address, cidrs) {
  const bytes = bytesOf(address);
  return bytes !== null && cidrs.some((cidr) => isWithin(bytes, cidr));
}

// eslint-disable-next-line no-unused-vars -- CloudFront calls it
function handler(event) {
  const request = event.request;
  if (SETTINGS.cidrs) {
    return isAllowed(event.viewer.ip, SETTINGS.cidrs) ? request : refuse(403, 'Forbidden', {});
  }
  const header = request.headers.authorization;
  if (header && isKnown(header.value, SETTINGS.credentials)) {
    // Neither the origin nor the cache needs it.
    delete request.headers.authorization;
    return request;
  }
  return refuse(401, 'Unauthorized', { 'www-authenticate': { value: 'Basic realm="Birdsong", charset="UTF-8"' } });
}
