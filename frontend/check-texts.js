// @ts-check
// Checks the texts of the page: each language has the same keys and parameters, each key is used, and no visible text in index.html or
// in a module is without a key. The build and a test run it.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
// @ts-expect-error It has no types.
import { JSDOM } from 'jsdom';
import ts from 'typescript';

const LANGUAGES = ['en', 'fr', 'es'];
/** Attributes whose values are read or heard. */
const VISIBLE = ['aria-label', 'title', 'placeholder', 'alt'];
/** From the attribute that has a key to the one that it sets; the first sets the text itself. */
const KEYED = { 'data-t': '', 'data-t-label': 'aria-label', 'data-t-title': 'title', 'data-t-placeholder': 'placeholder', 'data-t-content': 'content' };
/** Names and signs that are the same in every language. */
const SAME = ['Birdsong', 'America/Toronto', '?', 'Esc', 'Shift', 'Enter', 'j', 'k', 'f', 't', 'c'];
/** Names of what is written into the page, in modules: elements with text, and properties with it. */
const WRITERS = new Set(['setText', 'showText', 'announce']);
const PROPERTIES = new Set(['label', 'title', 'note', 'lead', 'none', 'textContent', 'placeholder']);

/** A literal that is read wherever it stands. */
const SENTENCE = /^\p{Lu}\p{Ll}+ \p{L}/u;
/** Whether a literal is a message of an error, which is not shown. @param {ts.Node} node */
const isAside = (node) => ts.isNewExpression(node.parent) || (ts.isConditionalExpression(node.parent) && ts.isNewExpression(node.parent.parent));

/** @typedef {string | { one: string, other: string }} Text */

/** @param {Text} text */
const formsOf = (text) => (typeof text === 'string' ? [text] : Object.values(text));
/** @param {string} text */
const paramsOf = (text) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]))].sort().join(' ');
/** Whether a text has words that a reader could miss. @param {string} text */
const isText = (text) => /\p{L}{2}|^\p{L}$/u.test(text) && !SAME.includes(text.trim());

/**
 * What differs between languages.
 * @param {Record<string, Record<string, Text>>} texts by language
 * @returns {string[]}
 */
export function languageProblems(texts) {
  const [english = '', ...others] = Object.keys(texts);
  const base = texts[english] ?? {};
  /** @type {string[]} */
  const problems = [];
  for (const [key, text] of Object.entries(base)) {
    const forms = formsOf(text);
    if (forms.some((form) => paramsOf(form) !== paramsOf(forms[0] ?? ''))) problems.push(`${english} ${key}: its forms have other parameters`);
    if (forms.length > 1 && !forms.every((form) => form.includes('{n}'))) problems.push(`${english} ${key}: forms need {n}`);
    for (const language of others) {
      const other = texts[language]?.[key];
      if (other === undefined) problems.push(`${language} ${key}: missing`);
      else if (formsOf(other).some((form) => paramsOf(form) !== paramsOf(forms[0] ?? ''))) problems.push(`${language} ${key}: other parameters than ${english}`);
      else if (forms.some((form) => form !== '') !== formsOf(other).some((form) => form !== '')) problems.push(`${language} ${key}: empty`);
    }
  }
  for (const language of others) {
    for (const key of Object.keys(texts[language] ?? {})) if (!(key in base)) problems.push(`${language} ${key}: not in ${english}`);
  }
  return problems;
}

/**
 * What is wrong in index.html: a visible text without a key, an unknown key, or a text that is not the English one.
 * @param {string} html
 * @param {Record<string, Text>} english
 */
export function htmlProblems(html, english) {
  const { window } = new JSDOM(html);
  /** @type {string[]} */
  const problems = [];
  /** @type {string[]} */
  const used = [];
  /** @param {ParentNode} root */
  const check = (root) => {
    for (const node of root.querySelectorAll('*')) {
      // Without scripts there is one language.
      if (node.closest('noscript')) continue;
      const where = `index.html <${node.localName}${node.id ? ` id=${node.id}` : ''}>`;
      for (const [from, to] of Object.entries(KEYED)) {
        const key = node.getAttribute(from);
        if (key === null) continue;
        used.push(key);
        const shown = to === '' ? node.textContent : node.getAttribute(to);
        if (!(key in english)) problems.push(`${where}: no text ${key}`);
        else if (to === '' && node.children.length > 0) problems.push(`${where}: ${key} would replace its elements`);
        else if (shown !== english[key] && shown !== '') problems.push(`${where}: “${shown}” is not the text ${key}`);
      }
      const own = [...node.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ textContent }) => textContent ?? '').join('');
      if (!node.hasAttribute('data-t') && node.localName !== 'title' && isText(own)) problems.push(`${where}: “${own.trim()}” has no key`);
      for (const name of VISIBLE) {
        const value = node.getAttribute(name);
        const keyed = Object.entries(KEYED).some(([from, to]) => to === name && node.hasAttribute(from));
        if (value && isText(value) && !keyed) problems.push(`${where} ${name}: “${value}” has no key`);
      }
      if (node.localName === 'template') check(/** @type {HTMLTemplateElement} */ (node).content);
    }
  };
  check(window.document);
  window.close();
  return { problems, used };
}

/**
 * What is wrong in a module, and the keys that it uses; a key with `${…}` is a pattern.
 * @param {string} name
 * @param {string} source
 */
export function moduleProblems(name, source) {
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  /** @type {string[]} */
  const problems = [];
  /** @type {RegExp[]} */
  const used = [];
  const quote = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  /** @param {ts.Node} node @param {string} text */
  const report = (node, text) => problems.push(`${name}:${file.getLineAndCharacterOfPosition(node.getStart()).line + 1}: “${text}” has no key`);
  /** The texts that an expression can be, without those of calls. @param {ts.Node} node @returns {void} */
  const visible = (node) => {
    if (ts.isStringLiteralLike(node)) {
      if (isText(node.text)) report(node, node.text);
    } else if (ts.isTemplateExpression(node)) {
      const text = [node.head.text, ...node.templateSpans.map(({ literal }) => literal.text)].join('…');
      if (isText(text)) report(node, text);
    } else if (ts.isConditionalExpression(node)) {
      visible(node.whenTrue);
      visible(node.whenFalse);
    } else if (ts.isBinaryExpression(node)) {
      visible(node.right);
      if (node.operatorToken.kind !== ts.SyntaxKind.AmpersandAmpersandToken) visible(node.left);
    } else if (ts.isArrayLiteralExpression(node)) node.elements.forEach(visible);
    else if (ts.isParenthesizedExpression(node)) visible(node.expression);
    else if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) visible(node.body);
  };
  /** Keys: literals that have a dot, as they stand anywhere. @param {ts.Node} node */
  const keys = (node) => {
    if (ts.isStringLiteralLike(node) && /^[a-z]\w*(\.[\w-]+)+$/i.test(node.text)) used.push(new RegExp(`^${quote(node.text)}$`));
    if (ts.isTemplateExpression(node) && /^[a-z]+\.[\w.-]*$/i.test(node.head.text)) {
      used.push(new RegExp(`^${quote(node.head.text)}${node.templateSpans.map(({ literal }) => `[\\w-]+${quote(literal.text)}`).join('')}$`));
    }
  };
  /** @param {ts.Node} node */
  const walk = (node) => {
    keys(node);
    if (ts.isCallExpression(node)) {
      const callee = node.expression.getText().split('.').at(-1) ?? '';
      if (WRITERS.has(callee)) node.arguments.forEach((argument) => { if (!ts.isCallExpression(argument)) visible(argument); });
      if (callee === 'el') node.arguments.slice(3).forEach(visible);
      if (callee === 'setAttribute' && node.arguments[0] && ts.isStringLiteralLike(node.arguments[0]) && VISIBLE.includes(node.arguments[0].text) && node.arguments[1]) visible(node.arguments[1]);
    }
    if (ts.isPropertyAssignment(node) && (PROPERTIES.has(node.name.getText().replace(/^['"]|['"]$/g, '')) || VISIBLE.includes(node.name.getText().replace(/^['"]|['"]$/g, '')))) visible(node.initializer);
    if (ts.isStringLiteralLike(node) && SENTENCE.test(node.text) && !isAside(node)) report(node, node.text);
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken && /\.(textContent|placeholder|title)$/.test(node.left.getText())) visible(node.right);
    ts.forEachChild(node, walk);
  };
  walk(file);
  return { problems: [...new Set(problems)], used };
}

/**
 * Everything that is wrong with the texts of the page.
 * @param {string} [root] the folder of index.html
 * @returns {Promise<string[]>}
 */
export async function textProblems(root = import.meta.dirname) {
  /** @type {Record<string, Record<string, Text>>} */
  const texts = {};
  for (const language of LANGUAGES) texts[language] = (await import(join(root, `src/text/${language}.js`))).default;
  const english = texts.en ?? {};
  const html = htmlProblems(readFileSync(join(root, 'index.html'), 'utf8'), english);
  const modules = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.js') && !name.startsWith('text'))
    .map((name) => moduleProblems(`src/${name}`, readFileSync(join(root, 'src', name), 'utf8')));
  const used = modules.flatMap((one) => one.used);
  const unused = Object.keys(english).filter((key) => !html.used.includes(key) && !used.some((pattern) => pattern.test(key)));
  return [...languageProblems(texts), ...html.problems, ...modules.flatMap((one) => one.problems), ...unused.map((key) => `${key}: not used`)];
}
