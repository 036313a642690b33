/* What the headers of an answer tell. What is missing or garbled is null. */

import type { IncomingHttpHeaders } from "node:http";

import type { Box, CutOutInfo } from "./result.js";

const WHOLE_NUMBER = /^\d{1,15}$/;

/** Return the facts of a cut-out. */
export function cutOutInfo(headers: IncomingHttpHeaders, mediaType: string): CutOutInfo {
  return {
    width: wholeNumber(headers, "x-width"),
    height: wholeNumber(headers, "x-height"),
    mediaType,
    foregroundDetected: truth(headers, "x-foreground-detected"),
    foregroundBox: box(headers),
    model: headerText(headers, "x-model"),
    creditsCharged: wholeNumber(headers, "x-credits-charged"),
    creditsSource: headerText(headers, "x-credits-source"),
    requestId: requestId(headers),
    replayed: truth(headers, "idempotent-replayed") ?? false,
  };
}

/** Return a header's text. */
export function headerText(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name];
  const only = Array.isArray(value) ? value[0] : value;
  return only?.trim() || null;
}

/** Return what the server calls the request. */
export function requestId(headers: IncomingHttpHeaders): string | null {
  return headerText(headers, "x-request-id");
}

/** Return a header's whole number. */
export function wholeNumber(headers: IncomingHttpHeaders, name: string): number | null {
  const text = headerText(headers, name);
  return text !== null && WHOLE_NUMBER.test(text) ? Number(text) : null;
}

/** Return after how many seconds Retry-After wants the next request (RFC 9110, 10.2.3). */
export function retryAfterSeconds(headers: IncomingHttpHeaders, nowMs: number): number | null {
  const seconds = wholeNumber(headers, "retry-after");
  if (seconds !== null) return seconds;
  const text = headerText(headers, "retry-after");
  // Date.parse takes nearly anything for a date; this header's dates end with GMT.
  if (text === null || !text.endsWith(" GMT")) return null;
  const atMs = Date.parse(text);
  return Number.isNaN(atMs) ? null : Math.max(0, (atMs - nowMs) / 1000);
}

function truth(headers: IncomingHttpHeaders, name: string): boolean | null {
  const text = headerText(headers, name)?.toLowerCase();
  if (text === "true") return true;
  return text === "false" ? false : null;
}

function box(headers: IncomingHttpHeaders): Box | null {
  if (truth(headers, "x-foreground-detected") !== true) return null;
  const [top, left, width, height] = ["top", "left", "width", "height"].map((side) =>
    wholeNumber(headers, `x-foreground-${side}`),
  );
  if (top == null || left == null || width == null || height == null) return null;
  return { top, left, width, height };
}
