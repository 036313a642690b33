/* Whether an answer is one of this API's. */

import type { IncomingMessage } from "node:http";

import { printable, shown } from "./printable.js";
import { shownUrl } from "./address.js";
import { UnexpectedAnswer, type RembgError } from "./errors.js";
import { chunks } from "./exchange.js";
import { headerText, wholeNumber } from "./facts.js";
import { refused } from "./refusal.js";

const MAX_ERROR_BYTES = 64 * 1024;
const TEXT_CHARACTERS = 200;

/**
 * Raise what an answer that is no success stands for.
 *
 * url: what was asked. Raises APIError or UnexpectedAnswer.
 */
export async function refuseFailure(answer: IncomingMessage, url: URL): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (status === 200) return refusePacked(answer);
  if (status >= 400) throw refused(status, answer.headers, await begin(answer));
  throw unexpected(status >= 300 ? leadsAway(answer, url) : `the status ${status}`);
}

/** Refuse a 200 that promises no picture of the type that was asked for. Raises UnexpectedAnswer. */
export function refuseOtherThan(asked: string, { headers }: IncomingMessage): void {
  const type = mediaType(headers["content-type"]);
  if (!type.startsWith("image/")) throw unexpected(`${said(type)} instead of a picture`);
  if (type !== asked) throw unexpected(`${said(type)} instead of ${asked}`);
  if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined) {
    throw unexpected("a picture without its length");
  }
  if (wholeNumber(headers, "content-length") === 0) throw unexpected("an empty picture");
}

/** Refuse a 200 that promises no JSON. Raises UnexpectedAnswer. */
export function refuseOtherThanJson({ headers }: IncomingMessage): void {
  const type = mediaType(headers["content-type"]);
  if (type !== "application/json") throw unexpected(`${said(type)} instead of JSON`);
}

/** Return an error for an answer that the API does not give. */
export function unexpected(what: string, cause?: unknown): RembgError {
  return new UnexpectedAnswer(`❌ The server answered with ${what}.`, { cause });
}

function mediaType(header: string | undefined): string {
  return header?.split(";")[0]?.trim().toLowerCase() ?? "";
}

function said(type: string): string {
  return shown(printable(type), TEXT_CHARACTERS) || "no Content-Type";
}

function refusePacked({ headers }: IncomingMessage): void {
  const encoding = headerText(headers, "content-encoding") ?? "identity";
  if (encoding !== "identity") throw unexpected("packed bytes, which nobody asked for");
}

// Redirects are not followed: the key is for this address alone.
function leadsAway({ statusCode, headers }: IncomingMessage, url: URL): string {
  const location = headerText(headers, "location");
  if (location === null || !URL.canParse(location, url.href)) return `the status ${statusCode}`;
  return `a redirect (${statusCode}) to ${shownUrl(new URL(location, url))}`;
}

async function begin(answer: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of chunks(answer)) {
      parts.push(chunk);
      size += chunk.length;
      if (size >= MAX_ERROR_BYTES) break;
    }
  } catch {
    // The status is known, and says more than that the line broke.
  }
  return Buffer.concat(parts).subarray(0, MAX_ERROR_BYTES);
}
