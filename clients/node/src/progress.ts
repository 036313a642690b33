/* How far an upload or a download is, in the shape of axios' progress events. */

import { performance } from "node:perf_hooks";

/** A step of an upload or a download; what is not known is not there. */
export interface ProgressEvent {
  /** Bytes that have gone or come so far; an upload counts the whole body of the request. */
  loaded: number;
  /** All bytes, when the server said how many. */
  total?: number;
  /** `loaded` as a fraction of `total`. */
  progress?: number;
  /** Bytes since the last event. */
  bytes: number;
  /** Bytes a second, as soon as it can be measured. */
  rate?: number;
  /** How many seconds are left at this rate. */
  estimated?: number;
  lengthComputable: boolean;
  upload?: boolean;
  download?: boolean;
  /** A browser's event: never there, as no browser has made any. */
  event?: any;
}

/**
 * What is called with some of the steps, the first and the last among them. What it raises, or what
 * its promise rejects with, ends the call, and is what the call rejects with.
 */
export type ProgressCallback = (event: ProgressEvent) => unknown;

/** Whom to tell, and who looks at what they return. */
export interface Audience {
  readonly callback: ProgressCallback | undefined;
  readonly heed: (outcome: unknown) => void;
}

/** One sending or receiving; `end` tells the last step when that was held back. */
export interface Telling {
  readonly step: (loaded: number) => void;
  readonly end: () => void;
}

const MEASURABLE_MS = 100;
const WINDOW_MS = 3000;
// A callback that draws would cost more than the transfer.
const BETWEEN_MS = 50;

/** Return what turns byte counts, from 0 on, into events. total: undefined when unknown. */
export function telling(
  { callback, heed }: Audience,
  direction: "upload" | "download",
  total: number | undefined,
): Telling {
  if (!callback) return { step: () => {}, end: () => {} };
  const speed = new Speed();
  let [now, told, toldAtMs] = [0, 0, -Infinity];
  const tell = (): void => {
    const event = eventOf(direction, now, told, total, speed.at(now));
    told = now;
    toldAtMs = performance.now();
    heed(callback(event));
  };
  const step = (loaded: number): void => {
    now = loaded;
    if (loaded === total || performance.now() - toldAtMs >= BETWEEN_MS) tell();
  };
  const end = (): void => {
    if (now > told) tell();
  };
  return { step, end };
}

function eventOf(
  direction: "upload" | "download",
  loaded: number,
  before: number,
  total: number | undefined,
  rate: number | undefined,
): ProgressEvent {
  const event: ProgressEvent = {
    loaded,
    bytes: loaded - before,
    lengthComputable: total !== undefined,
    [direction]: true,
  };
  if (total !== undefined) event.total = total;
  if (total) event.progress = loaded / total;
  if (rate !== undefined) event.rate = rate;
  if (rate !== undefined && total !== undefined) event.estimated = (total - loaded) / rate;
  return event;
}

/** The speed of the last seconds. */
class Speed {
  readonly #samples: { atMs: number; loaded: number }[] = [
    { atMs: performance.now(), loaded: 0 },
  ];

  at(loaded: number): number | undefined {
    const atMs = performance.now();
    const oldest = this.#oldestSince(atMs - WINDOW_MS);
    this.#samples.push({ atMs, loaded });
    const elapsedMs = atMs - oldest.atMs;
    if (elapsedMs < MEASURABLE_MS || loaded <= oldest.loaded) return undefined;
    return ((loaded - oldest.loaded) * 1000) / elapsedMs;
  }

  #oldestSince(sinceMs: number): { atMs: number; loaded: number } {
    while (this.#samples.length > 1 && (this.#samples[1]?.atMs ?? Infinity) < sinceMs) {
      this.#samples.shift();
    }
    return this.#samples[0] ?? { atMs: sinceMs, loaded: 0 };
  }
}
