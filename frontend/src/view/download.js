// @ts-check
// Files that the page makes itself.

/**
 * Saves a text as a file.
 * @param {Document} doc
 * @param {string} name
 * @param {string} text
 * @param {string} [type]
 */
export const saveText = (doc, name, text, type = 'text/csv') => saveBlob(doc, name, new Blob([text], { type: `${type};charset=utf-8` }));

/**
 * @param {Document} doc
 * @param {string} name
 * @param {Blob} blob
 */
export function saveBlob(doc, name, blob) {
  const url = URL.createObjectURL(blob);
  const link = doc.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
