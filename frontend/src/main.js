/// <reference types="vite/client" />
// @ts-check
// Starts the page.

import { DEFAULT_LANGUAGE, useLanguage } from './i18n.js';
import { startPage } from './page.js';

await useLanguage(DEFAULT_LANGUAGE);
startPage();
