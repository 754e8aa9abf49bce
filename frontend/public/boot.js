// @ts-check
// Runs before the first paint: sets the colour theme, so that the page does not flash, and asks for what the page will need while its code is loaded.
// A classic script in a file of its own: the page must work without inline scripts.
(function () {
  const query = new URLSearchParams(location.search);
  /** @param {string} key */
  const stored = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      // Storage may be blocked; the system's choice is used then.
      return null;
    }
  };
  const theme = [query.get('theme'), stored('birdsong-theme')].find((one) => one === 'light' || one === 'dark');
  const dark = window.matchMedia && window.matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.setAttribute('data-theme', theme || (dark ? 'dark' : 'light'));

  // The texts of the reader's language, whose file the build names: `en ./assets/en-….js, fr …`. src/i18n.js chooses in the same way.
  const files = (document.querySelector('meta[name="birdsong-texts"]')?.getAttribute('content') || '').split(', ').map((file) => file.split(' '));
  for (const tag of [query.get('lang'), stored('birdsong-language'), ...(navigator.languages || []), 'en']) {
    const code = String(tag).toLowerCase().split(/[-_]/)[0];
    const file = files.find(([name]) => name === code)?.[1];
    if (!file) continue;
    const link = document.createElement('link');
    link.rel = 'modulepreload';
    link.href = file;
    document.head.append(link);
    break;
  }

  // The first answers. src/early.js hands them to the page, which asks again by itself if one of them fails.
  /** @type {Record<string, Promise<Response>>} */
  const early = {};
  /** @param {string} url */
  const ask = (url) => {
    early[url] = fetch(url, { cache: 'no-cache', headers: { accept: 'application/json' } });
    early[url].catch(() => {});
    return early[url];
  };
  /** @type {any} */ (window).birdsongEarly = early;
  ask('./config.json').then((response) => /** @type {Promise<any> | object} */ (response.ok ? response.clone().json() : {})).then((/** @type {any} */ config) => {
    /** @type {unknown} */
    const given = config.apiBase;
    const base = typeof given === 'string' ? given.trim().replace(/\/+$/, '') : '';
    ask(`${base}/api/overview`);
    ask(`${base}/api/regions`);
  }).catch(() => {});
})();
