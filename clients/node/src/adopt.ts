/* Streams that a caller hands over: the call closes them, also when it never came to read them. */

import { IncomingMessage } from "node:http";

/**
 * Take over what was given, when it is a stream: one that fails before its first byte is asked for
 * must find a listener, or the process dies.
 *
 * Returns what lets go of it; that may be called again.
 */
export function adopted(given: unknown): () => void {
  if (!isStream(given)) return () => {};
  const { on } = given as { on?: unknown };
  if (typeof on === "function") on.call(given, "error", () => {});
  return () => letGo(given);
}

function letGo(given: object): void {
  // It shares its socket with the answer that the caller may want to give.
  if (given instanceof IncomingMessage) return;
  const { destroy, cancel, return: end } = given as Partial<Record<string, unknown>>;
  const close = [destroy, cancel, end].find(isFunction);
  // A stream of the web's that somebody else reads refuses.
  if (close) void (async () => close.call(given))().catch(() => {});
}

function isStream(given: unknown): given is object {
  return typeof given === "object" && given !== null
    && (Symbol.asyncIterator in given || "getReader" in given);
}

function isFunction(given: unknown): given is (this: object) => unknown {
  return typeof given === "function";
}
