// @ts-check
// Files that the page makes itself.

/**
 * Saves a text as a file.
 * @param {Document} doc
 * @param {string} name
 * @param {string} text
 */
export function saveText(doc, name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  const link = doc.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
