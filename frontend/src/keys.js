// @ts-check
// Keys for the whole page. They do nothing while a field has the focus.

/**
 * @param {{ doc: Document, actionOf: (key: string) => (() => void) | undefined }} parts what a key does, by its name (`KeyboardEvent.key`)
 * @returns {() => void} removes them
 */
export function initKeys({ doc, actionOf }) {
  /** @param {KeyboardEvent} event */
  const onKey = (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {Element | null} */ (event.target);
    const isField = Boolean(target?.closest?.('input, select, textarea, [role=region], dialog[open]'));
    if (isField && !(event.key === 'Escape' && target?.matches?.('input[type=search]'))) return;
    const action = actionOf(event.key);
    if (!action) return;
    event.preventDefault();
    action();
  };
  doc.addEventListener('keydown', onKey);
  return () => doc.removeEventListener('keydown', onKey);
}
