// @ts-check
// Small helpers for the document. They write text only, never HTML.

import { language } from '../i18n.js';

/**
 * The element with this id, which the page must have.
 * @param {Document} doc
 * @param {string} id
 */
export function byId(doc, id) {
  const node = doc.getElementById(id);
  if (!node) throw new Error(`the page has no element #${id}`);
  return node;
}

/**
 * The first element in `root` that the selector matches, which must exist.
 * @param {ParentNode} root
 * @param {string} selector
 */
export function find(root, selector) {
  const node = root.querySelector(selector);
  if (!(node && 'dataset' in node)) throw new Error(`the page has no element ${selector}`);
  return /** @type {HTMLElement} */ (node);
}

/**
 * A new element with attributes and children; strings become text.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Document} doc
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] null, undefined and false are left out
 * @param {(Node | string)[]} children
 */
export function el(doc, tag, attributes = {}, ...children) {
  const node = doc.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children);
  return node;
}

/**
 * Sets a text only when it changes, so that nothing is announced or painted without need.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Shows a text, or hides its element when the text is empty.
 * @param {HTMLElement} node
 * @param {string} text
 */
export function showText(node, text) {
  setText(node, text);
  node.hidden = text === '';
}

/** What distinguishes one control from its neighbours. @param {Element} control */
const controlName = (control) => [control.getAttribute('data-region'), control.getAttribute('value'), control.getAttribute('aria-label') ?? control.textContent].join('\n');

/** What the children of nodes were made from. @type {WeakMap<HTMLElement, string>} */
const made = new WeakMap();

/**
 * Replaces the children of a node only when the language or what they were made from has changed. The focus stays on the control of the same name.
 * @param {HTMLElement} node
 * @param {string[]} keys
 * @param {() => Node[]} make
 */
export function rebuild(node, keys, make) {
  const key = [language(), ...keys].join('\n');
  if (made.get(node) === key) return;
  made.set(node, key);
  const active = node.ownerDocument.activeElement;
  const held = active && active !== node && node.contains(active) ? active : null;
  node.replaceChildren(...make());
  if (!held) return;
  const same = [.../** @type {NodeListOf<HTMLElement>} */ (node.querySelectorAll(held.localName))].find((one) => controlName(one) === controlName(held));
  same?.focus({ preventScroll: true });
}
