/* From whatever was given to a picture that can be sent. */

import { Blob } from "node:buffer";
import type { ReadableStream } from "node:stream/web";
import { fileURLToPath } from "node:url";
import { types } from "node:util";

import { isHttp } from "./address.js";
import { fromAddress } from "./from-address.js";
import { unlessAborted } from "./ending.js";
import { InputError } from "./errors.js";
import { fromPath } from "./from-path.js";
import { spooledStream, spooledWebStream } from "./from-stream.js";
import { changed, inMemory, NO_NAME, type Picture } from "./picture.js";
import { reason } from "./printable.js";

const WEB_ADDRESS = /^https?:\/\//i;
// A parameter of the media type may have a comma in quotes.
const DATA_URL = /^data:(?:.{0,1000}?;base64,|[^,]*,)/is;
// What is left around it when it was cut out of JSON or of a program.
const AROUND = /^[\s"'`]+|[\s"'`]+$/g;
const BASE64 = /^[A-Za-z0-9+/_-]*=*$/;
const KINDS = "a file path, an http(s) address, bytes (Buffer, Uint8Array, ArrayBuffer), "
  + "a Blob or File, a stream, or an object with a base64 property";

/** Open whatever was given. Raises InputError. */
export async function openedPicture(given: unknown, signal: AbortSignal): Promise<Picture> {
  if (typeof given === "string") return fromText(given, signal);
  if (given instanceof URL) return fromUrl(given, signal);
  if (types.isAnyArrayBuffer(given)) return inMemory(bytesOf(given, 0, undefined), NO_NAME);
  if (ArrayBuffer.isView(given)) {
    return inMemory(bytesOf(given.buffer, given.byteOffset, given.byteLength), NO_NAME);
  }
  if (given instanceof Blob) return fromBlob(given);
  if (isWebStream(given)) return spooledWebStream(given, signal);
  if (isAsyncIterable(given)) return spooledStream(given, null, signal);
  if (isBlobLike(given)) return fromBlobLike(given, signal);
  if (isBase64(given)) return inMemory(decoded(given.base64), NO_NAME);
  throw new InputError(`Invalid input type. Must be ${KINDS}.`);
}

function fromText(text: string, signal: AbortSignal): Promise<Picture> {
  if (!WEB_ADDRESS.test(text)) return fromPath(text, signal);
  if (!URL.canParse(text)) throw new InputError("The picture's address is not a valid URL.");
  return fromAddress(new URL(text), signal);
}

function fromUrl(url: URL, signal: AbortSignal): Promise<Picture> {
  if (isHttp(url)) return fromAddress(url, signal);
  return fromPath(localPath(url), signal);
}

function localPath(url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    const message = "The picture's URL must begin with http:, https: or file:.";
    throw new InputError(message, { cause: error });
  }
}

function bytesOf(buffer: ArrayBufferLike, at: number, size: number | undefined): Uint8Array {
  try {
    return new Uint8Array(buffer, at, size);
  } catch (error) {
    throw new InputError("The bytes are gone: their buffer is detached.", { cause: error });
  }
}

// A Blob can be read as often as one likes.
function fromBlob(blob: Blob): Picture {
  const name = blobName(blob);
  return {
    name,
    size: blob.size,
    pieces: () => blobPieces(blob, name),
    close: async () => {},
  };
}

function blobName(blob: object): string {
  const { name } = blob as { name?: unknown };
  return (typeof name === "string" && name) || NO_NAME;
}

// One of another library's: who knows whether it can be read twice, or is as long as it says.
async function fromBlobLike(blob: BlobLike, signal: AbortSignal): Promise<Picture> {
  const content = await unlessAborted(signal, contentOf(blob));
  if (isWebStream(content)) return spooledWebStream(content, signal, blobName(blob));
  if (isAsyncIterable(content)) return spooledStream(content, blobName(blob), signal);
  if (types.isAnyArrayBuffer(content)) {
    return inMemory(bytesOf(content, 0, undefined), blobName(blob));
  }
  throw new InputError("The Blob gives neither a stream nor an ArrayBuffer.");
}

async function contentOf(blob: BlobLike): Promise<unknown> {
  try {
    return await ("stream" in blob && typeof blob.stream === "function"
      ? blob.stream()
      : blob.arrayBuffer?.());
  } catch (error) {
    throw new InputError(`The Blob cannot be read: ${reason(error)}`, { cause: error });
  }
}

async function* blobPieces(blob: Blob, name: string): AsyncIterable<Uint8Array> {
  const reader = blob.stream().getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw changed(name, error); // The file behind it is another one now.
      });
      if (done) return;
      yield value as Uint8Array;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function decoded(text: unknown): Uint8Array {
  if (typeof text !== "string") throw new InputError("base64 must be a string.");
  const digits = text.replace(AROUND, "").replace(DATA_URL, "").replace(/\s+/g, "");
  if (!BASE64.test(digits) || digits.replace(/=+$/, "").length % 4 === 1) {
    throw new InputError("base64 is not valid base64, nor a data URL with base64 in it.");
  }
  return Buffer.from(digits, "base64");
}

function isWebStream(given: unknown): given is ReadableStream<unknown> {
  return typeof given === "object" && given !== null && "getReader" in given
    && typeof given.getReader === "function" && "locked" in given;
}

function isAsyncIterable(given: unknown): given is AsyncIterable<unknown> {
  return typeof given === "object" && given !== null && Symbol.asyncIterator in given
    && typeof given[Symbol.asyncIterator] === "function";
}

interface BlobLike {
  readonly size: number;
  stream?(): unknown;
  arrayBuffer?(): unknown;
}

function isBlobLike(given: unknown): given is BlobLike {
  if (typeof given !== "object" || given === null) return false;
  const { size, stream, arrayBuffer } = given as Partial<Record<string, unknown>>;
  return typeof size === "number"
    && (typeof stream === "function" || typeof arrayBuffer === "function");
}

function isBase64(given: unknown): given is { base64: unknown } {
  return typeof given === "object" && given !== null && "base64" in given;
}
