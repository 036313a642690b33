/* A picture that can be sent, and sent again. */

import type { FileHandle } from "node:fs/promises";

import { InputError } from "./errors.js";
import { quoted, reason } from "./printable.js";

/** What is sent for one picture; `close` must be called in the end. */
export interface Picture {
  /** The file name that the server gets. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** All its bytes in small pieces, each time from the first on. Raises InputError. */
  readonly pieces: () => AsyncIterable<Uint8Array>;
  readonly close: () => Promise<void>;
}

export const PIECE_BYTES = 64 * 1024;
/** The largest picture that the API takes: 50 MiB. */
export const MAX_BYTES = 52_428_800;
/** A name without an extension: the server looks at the bytes. */
export const NO_NAME = "image";

/** Return a picture that lies in memory. It is not copied. */
export function inMemory(bytes: Uint8Array, name: string): Picture {
  const size = bytes.byteLength;
  return {
    name,
    size,
    pieces: () => slices(bytes, size, name),
    close: async () => {},
  };
}

/** Return a picture that lies in an open file of so many bytes; it closes the file. */
export function inFile(file: FileHandle, size: number, name: string): Picture {
  return {
    name,
    size,
    pieces: () => reads(file, size, name),
    close: () => file.close(),
  };
}

/** Return the error for a picture that is not what it was when its size was asked for. */
export function changed(name: string, cause?: unknown): InputError {
  return new InputError(`${quoted(name)} changed while it was read.`, { cause });
}

async function* slices(
  bytes: Uint8Array,
  size: number,
  name: string,
): AsyncIterable<Uint8Array> {
  for (let at = 0; at < size; at += PIECE_BYTES) {
    // Memory that was given to another thread is gone from here.
    if (bytes.byteLength !== size) throw changed(name);
    yield bytes.subarray(at, at + PIECE_BYTES);
  }
}

async function* reads(file: FileHandle, size: number, name: string): AsyncIterable<Uint8Array> {
  // One buffer is enough: the next piece is read when this one has gone.
  const buffer = Buffer.allocUnsafe(Math.min(size, PIECE_BYTES));
  for (let at = 0; at < size; ) {
    const wanted = Math.min(buffer.length, size - at);
    const bytesRead = await read(file, buffer, wanted, at, name);
    if (bytesRead === 0) throw changed(name);
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
  if ((await file.stat()).size !== size) throw changed(name);
}

async function read(
  file: FileHandle,
  buffer: Buffer,
  wanted: number,
  at: number,
  name: string,
): Promise<number> {
  try {
    return (await file.read(buffer, 0, wanted, at)).bytesRead;
  } catch (error) {
    throw new InputError(`${quoted(name)} cannot be read: ${reason(error)}`, { cause: error });
  }
}
