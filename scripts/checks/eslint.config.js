// ESLint for all JavaScript of the repository; scripts/lint.sh runs it from the root, which so is the base of these paths.
import js from '@eslint/js';
import globals from 'globals';

export default [
  { ignores: ['**/node_modules/', '**/dist/', '**/target/', '**/.run/', '**/.tools/', '**/.terraform/', 'infra/tests/fixtures/'] },
  js.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      // `({ left, ...rest }) => rest` is how a field is left out of a copy, and a stand-in has the parameters of what it replaces.
      'no-unused-vars': ['error', { ignoreRestSiblings: true, argsIgnorePattern: '^_' }],
    },
  },
  { files: ['frontend/src/**', 'frontend/public/**'], languageOptions: { globals: globals.browser } },
  { files: ['frontend/public/**'], languageOptions: { sourceType: 'script' } },
  {
    files: ['frontend/tests/**', 'frontend/browser/**', 'frontend/*.js', 'e2e/**', 'scripts/checks/*.js'],
    languageOptions: { globals: globals.node },
  },
  { files: ['frontend/tests/**', 'frontend/browser/**', 'e2e/stack.test.js'], languageOptions: { globals: globals.browser } },
  {
    // A function of CloudFront: what its JavaScript runtime 2.0 lacks does not show in Node.js.
    files: ['infra/modules/site/*.js'],
    languageOptions: {
      ecmaVersion: 2018,
      sourceType: 'script',
      globals: { ...globals.es2018, Buffer: 'readonly', require: 'readonly' },
    },
    rules: {
      'no-restricted-syntax': [
        'error', 'ForOfStatement', 'SpreadElement', 'ObjectPattern', 'ArrayPattern', 'AssignmentPattern', 'ClassDeclaration', 'YieldExpression',
      ],
    },
  },
  { files: ['infra/tests/*.mjs', 'scripts/deploy/*.mjs', 'scripts/*.mjs'], languageOptions: { globals: globals.node } },
  { files: ['**/*.cjs'], languageOptions: { globals: globals.node, sourceType: 'commonjs' } },
];
