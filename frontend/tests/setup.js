// @ts-check
// Tests read the page in English unless they choose another language.
import { useLanguage } from '../src/i18n.js';

await useLanguage('en');
