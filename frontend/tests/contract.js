// @ts-check
// Holds answers to the OpenAPI document of the API, whose path is in package.json.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** @typedef {Record<string, any>} Json */

const root = join(import.meta.dirname, '..');

/** @param {string} file relative to the package */
const readJson = (file) => /** @type {Json} */ (JSON.parse(readFileSync(join(root, file), 'utf8')));

const contract = readJson(readJson('package.json').config.openapi);

/**
 * The documented body of a response; undefined when the document does not name the status for this path.
 * @param {string} path
 * @param {number} status
 * @returns {Json | undefined}
 */
const bodyOf = (path, status) => contract.paths[path]?.get?.responses?.[status]?.content?.['application/json']?.schema;

/**
 * Forbids fields that the document does not name, so that a renamed field does not pass.
 * @param {unknown} node
 */
function close(node) {
  if (node === null || typeof node !== 'object') return;
  const schema = /** @type {Json} */ (node);
  if (schema.type === 'object' && schema.properties && !('additionalProperties' in schema)) schema.additionalProperties = false;
  for (const child of Object.values(schema)) close(child);
}
close(contract.paths);
close(contract.components);

const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false });
addFormats.default(ajv);
ajv.addSchema(contract, 'contract');

/** @type {Map<string, import('ajv').ValidateFunction>} */
const validators = new Map();

/** @param {string} key */
const pointer = (key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'));

/**
 * Why an answer is not what the OpenAPI document says; an empty list when it is.
 * @param {string} path such as `/api/windows`
 * @param {number} code the HTTP status
 * @param {unknown} body
 * @returns {string[]}
 */
export function violations(path, code, body) {
  // An unknown path has no description of its own: its error has the shape of all others.
  const [described, as] = contract.paths[path] || code !== 404 ? [path, code] : ['/api/windows', 404];
  if (!bodyOf(described, as)) return [`${path} is not documented to answer ${code}`];
  const $ref = `contract#/paths/${pointer(described)}/get/responses/${as}/content/${pointer('application/json')}/schema`;
  const validate = validators.get($ref) ?? ajv.compile({ $ref });
  validators.set($ref, validate);
  validate(body);
  return (validate.errors ?? []).map(({ instancePath, message, params }) => `${path} ${code}: ${instancePath || 'body'} ${message} ${JSON.stringify(params)}`);
}

/** The fields of a report, which a query may name. @type {readonly string[]} */
export const REPORT_FIELDS = Object.keys(contract.components.schemas.Window.properties);

/**
 * The first parameter of a query that the OpenAPI document does not allow; null when all are allowed.
 * @param {string} path
 * @param {URLSearchParams} query
 */
export function refusedParameter(path, query) {
  const known = new Map((contract.paths[path]?.get?.parameters ?? []).map((/** @type {Json} */ one) => [one.name, one]));
  for (const [name, value] of query) {
    const schema = known.get(name)?.in === 'query' && known.get(name).schema;
    const read = schema?.type === 'integer' && /^\d+$/.test(value) ? Number(value) : value;
    if (!schema || !ajv.validate(schema, read)) return name;
  }
  return null;
}

/**
 * Fails unless the OpenAPI document allows the answer.
 * @param {string} path
 * @param {number} code
 * @param {unknown} body
 */
export function assertAllowed(path, code, body) {
  const found = violations(path, code, body);
  if (found.length > 0) throw new Error(`the answer is not what the API's contract says:\n${found.join('\n')}`);
}
