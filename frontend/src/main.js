/// <reference types="vite/client" />
// @ts-check
// Starts the page.

import { startPage } from './page.js';

startPage();
