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
  /** Lists of files in the head, each with its name first. @param {string} name */
  const listed = (name) => (document.querySelector(`meta[name="${name}"]`)?.getAttribute('content') || '').split(', ').map((file) => file.split(' '));
  /** @param {string} file */
  const preload = (file) => {
    const link = document.createElement('link');
    const isStyle = file.endsWith('.css');
    link.rel = isStyle ? 'preload' : 'modulepreload';
    if (isStyle) link.as = 'style';
    // As the code of the page asks for it, so that it is not loaded twice.
    link.crossOrigin = '';
    link.href = file;
    document.head.append(link);
  };
  const files = listed('birdsong-texts');
  for (const tag of [query.get('lang'), stored('birdsong-language'), ...(navigator.languages || []), 'en']) {
    const code = String(tag).toLowerCase().split(/[-_]/)[0];
    const file = files.find(([name]) => name === code)?.[1];
    if (!file) continue;
    preload(file);
    break;
  }

  // The code of the page that the address names. src/views/index.js chooses in the same way.
  const view = query.has('wall') ? 'wall' : query.get('view') || (query.get('region') ? 'region' : '');
  for (const file of listed('birdsong-views').find(([name]) => name === view)?.slice(1) || []) preload(file);

  // To find out the zone of the device takes longest of all that the page does at once, and it waits for the network now.
  setTimeout(() => Intl.DateTimeFormat().resolvedOptions());

  // The first answers, read as soon as they arrive: the code of the page then goes on without waiting. src/early.js hands them to the page, which asks
  // again by itself if one of them fails.
  /** @type {Record<string, Promise<Pick<Response, 'ok' | 'status' | 'json'>>>} */
  const early = {};
  /** @param {string} url @param {RequestInit} [init] */
  const ask = (url, init = { cache: 'no-cache', headers: { accept: 'application/json' } }) => {
    early[url] = fetch(url, init).then((response) => {
      const body = response.json();
      body.catch(() => {});
      return { ok: response.ok, status: response.status, json: () => body };
    });
    early[url].catch(() => {});
    return early[url];
  };
  /** @type {any} */ (window).birdsongEarly = early;
  // In the way of the preload in index.html.
  ask('./config.json', {}).then((response) => /** @type {Promise<any> | object} */ (response.ok ? response.json() : {})).then((/** @type {any} */ config) => {
    /** @type {unknown} */
    const given = config.apiBase;
    const base = typeof given === 'string' ? given.trim().replace(/\/+$/, '') : '';
    ask(`${base}/api/overview`);
    ask(`${base}/api/regions`);
  }).catch(() => {});
})();
