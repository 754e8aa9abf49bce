// @ts-check
// Keys for the whole page. They do nothing while a field has the focus.

/**
 * @param {{ doc: Document, actions: Record<string, () => void> }} parts by the key's name (`KeyboardEvent.key`)
 * @returns {() => void} removes them
 */
export function initKeys({ doc, actions }) {
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {Element | null} */ (event.target);
    const isField = Boolean(target?.closest?.('input, select, textarea, [role=region], dialog[open]'));
    if (isField && !(event.key === 'Escape' && target?.matches?.('input[type=search]'))) return;
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  };
  doc.addEventListener('keydown', onKey);
  return () => doc.removeEventListener('keydown', onKey);
}
