/* Which failures may pass, and how long to wait for that. */

import { pause, type Ending } from "./ending.js";
import { APIError, ConnectionFailed, InputError, TimedOut } from "./errors.js";
import { staysBroken } from "./line-failure.js";

export const DEFAULT_RETRIES = 3;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
const JITTER = 0.25;
const GATEWAY = new Set([502, 503, 504]);

/**
 * Try until it succeeds, fails for good, or so many retries are used.
 *
 * Safe for anything that says by an idempotency key that it is the same, or that changes nothing.
 */
export async function retried<T>(
  attempt: () => Promise<T>,
  retries: number,
  ending: Ending,
): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (failures >= retries || ending.signal.aborted || !mayPass(error)) throw error;
      const waitMs = askedWaitMs(error) ?? growingWaitMs(failures);
      // Better the server's own words now than "timed out" later.
      if (waitMs >= ending.leftMs) throw error;
      await pause(waitMs, ending.signal);
    }
  }
}

/** Return how many retries are wanted. Raises InputError. */
export function checkedRetries(given: unknown): number {
  if (given === undefined || given === null) return DEFAULT_RETRIES;
  if (typeof given === "number" && Number.isInteger(given) && given >= 0) return given;
  throw new InputError("retries must be a whole number, 0 or more.");
}

function mayPass(error: unknown): boolean {
  if (error instanceof TimedOut) return false;
  if (error instanceof ConnectionFailed) return !staysBroken(error.cause);
  if (!(error instanceof APIError)) return false;
  if (error.status === 429) return isShortTerm(error);
  return GATEWAY.has(error.status) || error.code === "idempotency_key_in_use";
}

// Nobody wants to wait for tomorrow's or next month's credits.
function isShortTerm({ code, retryAfter }: APIError): boolean {
  return code === null ? retryAfter !== null : code === "rate_limited";
}

function askedWaitMs(error: unknown): number | null {
  if (!(error instanceof APIError) || error.retryAfter === null) return null;
  return error.retryAfter * 1000;
}

function growingWaitMs(failures: number): number {
  const jitter = 1 + JITTER * (2 * Math.random() - 1);
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures * jitter);
}
