/* A picture that comes out of a stream: Node's, the web's, or any async iterable of bytes. */

import { IncomingMessage } from "node:http";
import { basename } from "node:path";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";

import { InputError, RembgError } from "./errors.js";
import { NO_NAME, type Picture } from "./picture.js";
import { reason } from "./printable.js";
import { spooled, type Source } from "./spool.js";

/** Read an async iterable of bytes, a Readable of Node's among them. Raises InputError. */
export async function spooledStream(
  stream: AsyncIterable<unknown>,
  name: string | null,
  signal: AbortSignal,
): Promise<Picture> {
  refuseUsed(stream);
  const iterator = iteratorOf(stream);
  const source: Source = {
    next: () => bytesOf(() => iterator.next()),
    stop: () => letGo(stream, iterator),
  };
  return spooled(source, name ?? nameOf(stream), signal);
}

/** Read a stream of the web's. Raises InputError. */
export async function spooledWebStream(
  stream: ReadableStream<unknown>,
  signal: AbortSignal,
  name: string = NO_NAME,
): Promise<Picture> {
  if (isDisturbed(stream)) throw used();
  if (stream.locked) throw new InputError("The stream is being read by somebody else.");
  const reader = stream.getReader();
  const source: Source = {
    next: () => bytesOf(() => reader.read()),
    stop: () => void reader.cancel().catch(() => {}),
  };
  return spooled(source, name, signal);
}

interface Step {
  readonly done?: boolean | undefined;
  readonly value?: unknown;
}

async function bytesOf(next: () => Promise<Step>): Promise<Uint8Array | null> {
  const { done, value } = await stepOf(next);
  if (done) return null;
  if (value instanceof Uint8Array) return value;
  throw new InputError(`The stream must give bytes (Buffer, Uint8Array), not a ${typeof value}.`);
}

async function stepOf(next: () => Promise<Step>): Promise<Step> {
  try {
    return await next();
  } catch (error) {
    if (error instanceof RembgError) throw error;
    throw unreadable(error);
  }
}

// The rest of one that was begun would be half of a picture, or look like an empty one.
function refuseUsed(stream: object): void {
  const { destroyed, readableEnded, errored } = stream as Partial<Record<string, unknown>>;
  if (errored instanceof Error) throw unreadable(errored);
  if (readableEnded === true || destroyed === true || isDisturbed(stream)) throw used();
}

function isDisturbed(stream: object): boolean {
  return Readable.isDisturbed(stream as Readable);
}

function used(): InputError {
  return new InputError("The stream has been read or closed already.");
}

function unreadable(error: unknown): InputError {
  return new InputError(`The stream cannot be read: ${reason(error)}`, { cause: error });
}

// A message's socket is not ours to close: it may serve the answer too.
function iteratorOf(stream: AsyncIterable<unknown>): AsyncIterator<unknown> {
  if (stream instanceof IncomingMessage) return stream.iterator({ destroyOnReturn: false });
  return stream[Symbol.asyncIterator]();
}

function letGo(stream: object, iterator: AsyncIterator<unknown>): void {
  // An iterator that waits for its stream answers return() only after that.
  const { destroy } = stream as { destroy?: unknown };
  if (typeof destroy === "function" && !(stream instanceof IncomingMessage)) {
    destroy.call(stream);
    return;
  }
  iterator.return?.().catch(() => {});
}

function nameOf(stream: object): string {
  const { path } = stream as { path?: unknown };
  return (typeof path === "string" && basename(path)) || NO_NAME;
}
