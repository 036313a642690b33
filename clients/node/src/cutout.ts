/* Where the cut-out goes: a temporary file, or a data URL. */

import { constants as bufferLimits } from "node:buffer";
import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { access, open, rename, rm, type FileHandle } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { refuseOtherThan, unexpected } from "./answer.js";
import { RembgError } from "./errors.js";
import { chunks } from "./exchange.js";
import { cutOutInfo, wholeNumber } from "./facts.js";
import { gathered } from "./gather.js";
import { quoted, reason } from "./printable.js";
import { telling, type Audience } from "./progress.js";
import type { Base64CutOut, CutOutInfo, FileCutOut } from "./result.js";
import { refusedUnless } from "./signature.js";

const MAX_BYTES = 1024 ** 3;
// Four characters for three bytes, and some for the head of the data URL.
const MAX_BASE64_BYTES = Math.floor((bufferLimits.MAX_STRING_LENGTH - 100) / 4) * 3;

/** Refuse to begin when a cut-out could not be kept. Raises RembgError. */
export async function refuseFolder(): Promise<void> {
  try {
    await access(tmpdir(), constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notKept(error);
  }
}

/**
 * Write a 200 to a file in the temporary folder; it has its name when it is whole.
 *
 * type: the media type that was asked for; end: how the file's name ends. Raises
 * UnexpectedAnswer, ConnectionFailed, RembgError.
 */
export async function toFile(
  answer: IncomingMessage,
  type: string,
  end: string,
  audience: Audience,
): Promise<FileCutOut> {
  const info = believed(answer, type);
  const name = `${process.pid}-${randomBytes(9).toString("hex")}`;
  const draft = join(tmpdir(), `.rembg-${name}.part`);
  const outputImagePath = join(tmpdir(), `rembg-${name}${end}`);
  try {
    await filled(draft, gathered(bytes(answer, type, MAX_BYTES, audience)));
    await disk(() => rename(draft, outputImagePath));
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
  return { outputImagePath, cleanup: () => removed(outputImagePath), info };
}

/**
 * Return a 200 as a data URL.
 *
 * type: the media type that was asked for. Raises UnexpectedAnswer, ConnectionFailed.
 */
export async function toBase64(
  answer: IncomingMessage,
  type: string,
  audience: Audience,
): Promise<Base64CutOut> {
  const info = believed(answer, type);
  const parts: Uint8Array[] = [];
  const pieces = gathered(bytes(answer, type, MAX_BASE64_BYTES, audience));
  for await (const part of pieces) parts.push(part);
  const text = Buffer.concat(parts).toString("base64");
  return { base64Image: `data:${info.mediaType};base64,${text}`, info };
}

function believed(answer: IncomingMessage, type: string): CutOutInfo {
  refuseOtherThan(type, answer);
  return cutOutInfo(answer.headers, type);
}

async function* bytes(
  answer: IncomingMessage,
  type: string,
  limit: number,
  audience: Audience,
): AsyncIterable<Buffer> {
  const total = wholeNumber(answer.headers, "content-length") ?? undefined;
  if ((total ?? 0) > limit) throw unexpected("more bytes than a picture has");
  const told = telling(audience, "download", total);
  let loaded = 0;
  for await (const chunk of refusedUnless(type, chunks(answer))) {
    loaded += chunk.length;
    if (loaded > limit) throw unexpected("more bytes than a picture has");
    yield chunk;
    told.step(loaded);
  }
  told.end();
}

async function filled(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await disk(() => open(path, "wx", 0o600));
  try {
    for await (const piece of pieces) await disk(() => written(file, piece));
  } finally {
    await disk(() => file.close());
  }
}

async function written(file: FileHandle, bytes: Uint8Array): Promise<void> {
  // A write may take less than it is given.
  for (let at = 0; at < bytes.byteLength; ) at += (await file.write(bytes, at)).bytesWritten;
}

async function removed(path: string): Promise<void> {
  await disk(() => rm(path, { force: true }));
}

async function disk<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw notKept(error);
  }
}

function notKept(error: unknown): RembgError {
  const message = `The temporary folder ${quoted(tmpdir())} cannot be used: ${reason(error)}`;
  return new RembgError(message, { cause: error });
}
