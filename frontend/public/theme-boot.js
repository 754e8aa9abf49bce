// @ts-check
// Sets the colour theme before the first paint, so that the page does not flash.
// A classic script in a file of its own: the page must work without inline scripts.
(function () {
  /** @type {string | null} */
  let stored = new URLSearchParams(location.search).get('theme');
  try {
    if (stored !== 'light' && stored !== 'dark') stored = localStorage.getItem('birdsong-theme');
  } catch {
    // Storage may be blocked; the system's theme is used then.
  }
  const dark = window.matchMedia && window.matchMedia('(prefers-color-scheme: dark)').matches;
  const theme = stored === 'light' || stored === 'dark' ? stored : dark ? 'dark' : 'light';
  document.documentElement.setAttribute('data-theme', theme);
})();
