// The guard stops a destroy before anything is gone. Mocked providers cannot show that: these tests run Terraform on resources
// that need no provider.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';

const infra = path.resolve(import.meta.dirname, '..');
const dir = mkdtempSync(path.join(tmpdir(), 'birdsong-guard-'));

const environment = { ...process.env, BIRDSONG_DESTROY: '' };
const terraform = (args, env = {}) =>
  spawnSync('terraform', [`-chdir=${dir}`, ...args, '-no-color'], { env: { ...environment, ...env }, encoding: 'utf8' });

/** The addresses in the state. */
const resources = () => terraform(['state', 'list']).stdout.trim().split('\n').filter(Boolean);

function apply(settings) {
  const done = terraform(['apply', '-auto-approve', '-input=false', ...settings.map((each) => `-var=${each}`)]);
  return { ...done, all: done.stdout + done.stderr };
}

function destroy(env) {
  const done = terraform(['destroy', '-auto-approve', '-input=false'], env);
  return { ...done, all: done.stdout + done.stderr };
}

before(() => {
  writeFileSync(path.join(dir, 'main.tf'), `
variable "protected" {
  default = true
}
variable "name" {
  default = "birds"
}
resource "terraform_data" "stream" {
  triggers_replace = var.name
}
resource "terraform_data" "alarm" {}
module "guard" {
  source              = "${path.join(infra, 'modules/guard')}"
  name                = var.name
  deletion_protection = var.protected
  protects            = [terraform_data.stream.id]
  depends_on          = [terraform_data.alarm, terraform_data.stream]
}
`);
  execFileSync('terraform', [`-chdir=${dir}`, 'init', '-input=false'], { env: environment, stdio: 'pipe' });
});

after(() => rmSync(dir, { recursive: true, force: true }));

const ALL = ['terraform_data.alarm', 'terraform_data.stream', 'module.guard.terraform_data.this'];

test('a destroy is stopped before anything is gone', () => {
  assert.equal(apply([]).status, 0);
  const done = destroy({});
  assert.notEqual(done.status, 0);
  assert.match(done.all, /windows and posts of birds are protected, nothing was destroyed/);
  assert.deepEqual(resources().sort(), [...ALL].sort());
});

test('a replacement of what holds data is stopped, too', () => {
  const before = JSON.parse(terraform(['show', '-json']).stdout);
  const done = apply(['name=sparrows']);
  assert.notEqual(done.status, 0);
  assert.match(done.all, /nothing was destroyed/);
  const idOf = (state) => state.values.root_module.resources.find(({ address }) => address === 'terraform_data.stream').values.id;
  assert.equal(idOf(JSON.parse(terraform(['show', '-json']).stdout)), idOf(before));
});

test('the name of another deployment does not help', () => {
  assert.notEqual(destroy({ BIRDSONG_DESTROY: 'sparrows' }).status, 0);
  assert.deepEqual(resources().sort(), [...ALL].sort());
});

test('make destroy gives the name', () => {
  const done = destroy({ BIRDSONG_DESTROY: 'birds' });
  assert.equal(done.status, 0, done.all);
  assert.deepEqual(resources(), []);
});

test('without protection, terraform destroy is enough', () => {
  assert.equal(apply([]).status, 0);
  assert.equal(apply(['protected=false']).status, 0);
  const done = destroy({});
  assert.equal(done.status, 0, done.all);
  assert.deepEqual(resources(), []);
});

test('the guard goes first, because it depends on everything', () => {
  const files = ['main.tf', 'release.tf', 'sources.tf'].map((name) => readFileSync(path.join(infra, name), 'utf8')).join('\n');
  const all = [
    ...[...files.matchAll(/^module "(\w+)"/gm)].map(([, name]) => `module.${name}`),
    ...[...files.matchAll(/^resource "(\w+)" "(\w+)"/gm)].map(([, type, name]) => `${type}.${name}`),
  ];
  const guard = files.slice(files.indexOf('module "guard"'));
  const needs = guard.slice(guard.indexOf('depends_on'), guard.indexOf(']', guard.indexOf('depends_on')));
  for (const each of all.filter((name) => name !== 'module.guard')) assert.ok(needs.includes(`${each},`), `the guard does not depend on ${each}`);
  assert.ok(all.length > 8);
});
