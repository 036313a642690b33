/* The headers of a request: who asks, and what else the caller wants to send. */

import { randomUUID } from "node:crypto";
import { validateHeaderName, validateHeaderValue } from "node:http";

import { InputError } from "./errors.js";
import { quoted } from "./printable.js";

export type HeaderFields = Readonly<Record<string, string>>;

/** More headers for the server, as fetch takes them. */
export type GivenHeaders = Record<string, string> | Iterable<readonly [string, string]>;

/** What the caller says about headers; `apiKey` counts as given even when it is undefined. */
export interface Credentials {
  apiKey?: string | null | undefined;
  headers?: GivenHeaders | undefined;
}

const USER_AGENT = "openrembg-node/0.1.0";
// The published client's words for a key that is not there.
const NO_KEY = " ⚠️⚠️⚠️ WARNING ⚠️⚠️⚠️: API key not provided, trials will be very limited.";
const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
const AROUND = /^[ \t\r\n\f\v]+|[ \t\r\n\f\v]+$/g;
const OURS: ReadonlyMap<string, string> = new Map([
  ["x-api-key", "apiKey"],
  ["idempotency-key", "idempotencyKey"],
]);
const OF_THE_TRANSPORT = new Set([
  ...["accept-encoding", "connection", "content-length", "content-type", "expect", "keep-alive"],
  ...["te", "trailer", "transfer-encoding", "upgrade"],
]);

/** Return the headers that every request of a call carries. Raises InputError. */
export function callHeaders(given: Credentials): HeaderFields {
  const key = apiKey(given);
  return {
    "user-agent": USER_AGENT,
    ...extraHeaders(given.headers),
    // A proxy that packed the picture would change its length, which progress bars need.
    "accept-encoding": "identity",
    ...(key === null ? {} : { "x-api-key": key }),
  };
}

/**
 * Return the header that makes a repeated request known; none for anonymous callers.
 *
 * Raises InputError.
 */
export function idempotencyHeader(given: unknown, headers: HeaderFields): HeaderFields {
  if (given === undefined || given === null) {
    const isCharged = "x-api-key" in headers || "authorization" in headers;
    return isCharged ? { "idempotency-key": randomUUID() } : {};
  }
  if (typeof given !== "string" || !PRINTABLE_ASCII.test(given) || !given.trim()) {
    throw new InputError("idempotencyKey must be a text of printable ASCII characters.");
  }
  return { "idempotency-key": given };
}

// A key that is given but empty is most likely a variable that nobody set: falling back on
// anonymous, or on another key, would hide that.
function apiKey(given: Credentials): string | null {
  if (!("apiKey" in given)) return fromEnvironment();
  if (given.apiKey === null) return null;
  const { apiKey: key = "" } = given as { apiKey?: unknown };
  if (typeof key !== "string") throw new InputError("apiKey must be text.");
  const text = key.replace(AROUND, "");
  if (!text) throw new InputError(NO_KEY);
  return checkedKey(text, "apiKey");
}

function fromEnvironment(): string | null {
  // A file's last line break comes along easily.
  const text = process.env["REMBG_API_KEY"]?.replace(AROUND, "");
  return text ? checkedKey(text, "REMBG_API_KEY") : null;
}

// The message must not tell the key.
function checkedKey(key: string, name: string): string {
  if (PRINTABLE_ASCII.test(key)) return key;
  throw new InputError(`${name} has characters that no API key has, a line break for instance.`);
}

function extraHeaders(given: unknown): HeaderFields {
  if (given === undefined || given === null) return {};
  const fields = new Map<string, string>();
  for (const [name, value] of pairs(given)) {
    const [lower, text] = checkedHeader(name, value);
    const before = fields.get(lower);
    fields.set(lower, before === undefined ? text : `${before}, ${text}`);
  }
  return Object.fromEntries(fields);
}

function pairs(given: unknown): readonly (readonly unknown[])[] {
  if (isPlain(given)) return Object.entries(given);
  if (Array.isArray(given) || given instanceof Map || given instanceof Headers) {
    const all: unknown[] = [...given];
    if (all.every((pair) => Array.isArray(pair) && pair.length === 2)) return all as unknown[][];
  }
  const kinds = "a plain object, Headers, a Map or a list of [name, value]";
  throw new InputError(`headers must be ${kinds}.`);
}

function isPlain(given: unknown): given is object {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return false;
  const prototype: unknown = Object.getPrototypeOf(given);
  // Those of other realms are plain too.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function checkedHeader(name: unknown, value: unknown): [string, string] {
  if (typeof name !== "string") throw new InputError("The name of a header must be text.");
  const lower = name.toLowerCase();
  const argument = OURS.get(lower);
  if (argument) throw new InputError(`Give the header ${lower} as ${argument}.`);
  if (OF_THE_TRANSPORT.has(lower)) throw new InputError(`The header ${lower} cannot be given.`);
  if (typeof value === "string" && isAllowed(name, value)) return [lower, value];
  throw new InputError(`The header ${quoted(name)} is not one that HTTP allows.`);
}

function isAllowed(name: string, value: string): boolean {
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    return true;
  } catch {
    return false;
  }
}
