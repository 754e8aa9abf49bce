// Posts of three days in one region, with a burst of a hashtag by many authors, in the format of the X API.

const MINUTE = 60_000;
const WINDOW = 5 * MINUTE;
/** The first millisecond of the ids that X gives to posts. */
const SNOWFLAKE_EPOCH = 1_288_834_974_657n;

/** Posts in a window without the burst, and in one of its windows. */
const USUAL = 6;
const BURST = 60;

/**
 * The burst is in the three windows that end 40 minutes before `now`, rounded down to a window.
 * @param {number} now milliseconds
 * @returns {{ lines: string, burst: { from: number, to: number }, posts: number }}
 */
export function burstPosts(now) {
  const end = Math.floor((now - 20 * MINUTE) / WINDOW) * WINDOW;
  const burst = { from: end - 7 * WINDOW, to: end - 4 * WINDOW };
  const lines = [];
  for (let window = end - 3 * 86_400_000; window < end; window += WINDOW) {
    const isBurst = window >= burst.from && window < burst.to;
    // A little more in some windows than in others, as in life.
    const count = isBurst ? BURST : USUAL + (Math.floor(window / WINDOW) % 3) - 1;
    for (let n = 0; n < count; n += 1) {
      const time = window + Math.floor((n * WINDOW) / count) + 7;
      const id = String((BigInt(time) - SNOWFLAKE_EPOCH) << 22n | BigInt(n));
      const tag = isBurst && n >= USUAL ? 'Goal' : 'Weather';
      lines.push(JSON.stringify({
        data: {
          id, text: `burstville #${tag}`, created_at: new Date(time).toISOString(), author_id: String(1_000 + lines.length % 700), lang: 'en',
          entities: { hashtags: [{ start: 11, end: 12 + tag.length, tag }] },
        },
      }));
    }
  }
  return { lines: `${lines.join('\n')}\n`, burst, posts: lines.length };
}

/**
 * A regions file with the region of the posts, and an alert to an address.
 * @param {string} url
 */
export const burstRegions = (url) => `[[region]]
id = "burstville"
name = "Burstville"
keywords = ["burstville"]

[[alert]]
id = "desk"
kinds = ["spike"]
regions = ["burstville"]
webhook = { url = "${url}" }
`;
