/// <reference types="vite/client" />
// @ts-check
// Starts the page in the language of the reader.

import { DEFAULT_LANGUAGE, useLanguage, wantedLanguage } from './i18n.js';
import { earlyFetch } from './early.js';
import { startPage } from './page.js';
import { readUrl } from './url-state.js';
import { PAGE_PARAMS, entryOf } from './views/index.js';

// The code of what the address names comes with the texts. With it, the page asks for counts before it writes anything.
const code = entryOf(readUrl(location.search, PAGE_PARAMS)).load?.().catch(() => {});
const texts = useLanguage(wantedLanguage(window)).catch(() => useLanguage(DEFAULT_LANGUAGE));
Promise.all([texts, code]).then(() => startPage({ fetchImpl: earlyFetch(window) }));
