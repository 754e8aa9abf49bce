// @ts-check
// A service worker for notifications alone: browsers of phones let no page make them itself. It does not touch what the page loads.
(function () {
  const worker = /** @type {any} */ (self);
  worker.addEventListener('notificationclick', (/** @type {any} */ event) => {
    event.notification.close();
    const { region } = event.notification.data;
    event.waitUntil((async () => {
      const [page] = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
      if (!page) return worker.clients.openWindow(`./?region=${encodeURIComponent(region)}`);
      page.postMessage({ region });
      return page.focus();
    })());
  });
})();
