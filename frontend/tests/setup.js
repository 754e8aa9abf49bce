// @ts-check
// Tests read the page in English unless they choose another language, and its pauses take no time.
import { useLanguage } from '../src/i18n.js';

Object.assign(globalThis, { scheduler: { yield: async () => {} } });
await useLanguage('en');
