// @ts-check
import { vi } from 'vitest';

const PATIENCE_MS = 20_000;

/**
 * Waits until a check no longer throws; patient, for a machine may be busy with other things.
 * @template T
 * @param {() => T | Promise<T>} check
 */
export const until = (check) => vi.waitFor(check, { timeout: PATIENCE_MS });
