/* When a call has to end: its time is over, its caller aborts it, or a callback raises. */

import { InputError, TimedOut } from "./errors.js";

// What a timer of Node's can wait for: 24 days.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** What ends a call early. It lives for one call of `during`. */
export class Ending {
  /** Aborted when the call has to end; the reason is what it ends with. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #deadlineMs: number;
  readonly #timer: NodeJS.Timeout;
  readonly #theirs: AbortSignal | undefined;
  readonly #heeded = new Set<Promise<unknown>>();
  readonly #aborted = (): void => this.because(this.#theirs?.reason);

  constructor(timeoutMs: number, theirs?: AbortSignal) {
    this.signal = this.#controller.signal;
    this.#deadlineMs = performance.now() + timeoutMs;
    this.#theirs = theirs;
    const late = new TimedOut(`❌ The call was not over within ${timeoutMs / 1000} s.`);
    this.#timer = setTimeout(() => this.because(late), Math.min(timeoutMs, LONGEST_TIMER_MS));
    if (theirs) hear(theirs, this.#aborted);
    if (theirs?.aborted) this.#aborted();
  }

  /** How many milliseconds are left. */
  get leftMs(): number {
    return this.#deadlineMs - performance.now();
  }

  /** End the call with this error. */
  because(reason: unknown): void {
    this.#controller.abort(reason);
  }

  /** Note what a callback has returned. When that is a promise that rejects, the call ends. */
  heed(outcome: unknown): void {
    if ((typeof outcome !== "object" && typeof outcome !== "function") || outcome === null) return;
    const heeded = Promise.resolve(outcome)
      .catch((error: unknown) => this.because(error))
      .finally(() => this.#heeded.delete(heeded));
    this.#heeded.add(heeded);
  }

  /** Wait for all that the callbacks have returned. Rejects with the reason to end, if any. */
  async heard(): Promise<void> {
    await unlessAborted(this.signal, Promise.all(this.#heeded));
    this.signal.throwIfAborted();
  }

  /** Make the call. When it has to end, what it rejects with is the reason, whatever broke. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    try {
      this.signal.throwIfAborted();
      return await call();
    } catch (error) {
      throw this.signal.aborted ? this.signal.reason : error;
    } finally {
      clearTimeout(this.#timer);
      if (this.#theirs) unhear(this.#theirs, this.#aborted);
    }
  }
}

// One listener a signal, however many calls share it: Node warns of a leak at eleven.
const hearing = new WeakMap<AbortSignal, { all: Set<() => void>; one: () => void }>();

function hear(signal: AbortSignal, listener: () => void): void {
  const known = hearing.get(signal);
  if (known) {
    known.all.add(listener);
    return;
  }
  const all = new Set([listener]);
  const one = (): void => all.forEach((aborted) => aborted());
  hearing.set(signal, { all, one });
  signal.addEventListener("abort", one);
}

function unhear(signal: AbortSignal, listener: () => void): void {
  const known = hearing.get(signal);
  known?.all.delete(listener);
  if (!known || known.all.size > 0) return;
  hearing.delete(signal);
  signal.removeEventListener("abort", known.one);
}

/** Return what a promise gives, or reject with the signal's reason when that comes first. */
export async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
  // Nobody looks at the one that comes second.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Wait, 24 days at most. Rejects with the signal's reason when it is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  try {
    await unlessAborted(signal, new Promise((done) => (timer = setTimeout(done, Math.min(ms, LONGEST_TIMER_MS)))));
  } finally {
    clearTimeout(timer);
  }
}

/** Return a timeout in milliseconds as it was given, or the default. Raises InputError. */
export function checkedTimeout(given: unknown, defaultMs: number): number {
  if (given === undefined || given === null) return defaultMs;
  if (typeof given === "number" && given > 0) return given;
  throw new InputError("timeout must be a number of milliseconds over 0.");
}

/** Return the caller's signal. Raises InputError. */
export function checkedSignal(given: unknown): AbortSignal | undefined {
  if (given === undefined || given === null) return undefined;
  if (isSignal(given)) return given;
  throw new InputError("signal must be an AbortSignal.");
}

function isSignal(given: unknown): given is AbortSignal {
  return typeof given === "object" && given !== null && "aborted" in given
    && "addEventListener" in given;
}
