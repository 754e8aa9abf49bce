/// <reference types="vite/client" />
// @ts-check
// Starts the page in the language of the reader.

import { DEFAULT_LANGUAGE, useLanguage, wantedLanguage } from './i18n.js';
import { earlyFetch } from './early.js';
import { startPage } from './page.js';

useLanguage(wantedLanguage(window)).catch(() => useLanguage(DEFAULT_LANGUAGE)).then(() => startPage({ fetchImpl: earlyFetch(window) }));
