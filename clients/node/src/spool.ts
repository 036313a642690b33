/* A temporary file for what can be read only once. */

import { randomUUID } from "node:crypto";
import { open, unlink, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";

import { unlessAborted } from "./ending.js";
import { InputError, RembgError } from "./errors.js";
import { gathered } from "./gather.js";
import { inFile, MAX_BYTES, type Picture } from "./picture.js";
import { quoted, reason } from "./printable.js";

const PIECES_A_TURN = 256;

/** Something that gives bytes once. `stop` lets go of it, and may be called at any time. */
export interface Source {
  /** The next bytes; null: there are no more. Raises InputError. */
  readonly next: () => Promise<Uint8Array | null>;
  readonly stop: () => void;
}

/** Put all that a source gives into a file without a name. Raises InputError. */
export async function spooled(source: Source, name: string, signal: AbortSignal): Promise<Picture> {
  let file: FileHandle | undefined;
  try {
    signal.throwIfAborted();
    file = await namelessFile();
    return inFile(file, await filled(file, source, signal), name);
  } catch (error) {
    await file?.close();
    throw error;
  } finally {
    source.stop();
  }
}

async function filled(file: FileHandle, source: Source, signal: AbortSignal): Promise<number> {
  let size = 0;
  for await (const bytes of gathered(pieces(source, signal))) {
    size += bytes.byteLength;
    if (size > MAX_BYTES) throw new InputError("The picture is larger than 50 MB.");
    await kept(file, bytes);
  }
  return size;
}

async function* pieces(source: Source, signal: AbortSignal): AsyncIterable<Uint8Array> {
  for (let count = 1; ; count += 1) {
    const bytes = await unlessAborted(signal, source.next());
    if (bytes === null) return;
    yield bytes;
    // A source that has its pieces ready would not let a timer run, nor anything else.
    if (count % PIECES_A_TURN === 0) await setImmediate();
  }
}

async function kept(file: FileHandle, bytes: Uint8Array): Promise<void> {
  // A write may take less than it is given.
  for (let at = 0; at < bytes.byteLength; ) {
    try {
      at += (await file.write(bytes, at)).bytesWritten;
    } catch (error) {
      throw noRoom(error);
    }
  }
}

// Without a name nothing is left behind, however this process ends.
async function namelessFile(): Promise<FileHandle> {
  const path = join(tmpdir(), `.rembg-${randomUUID()}.spool`);
  try {
    const file = await open(path, "wx+", 0o600);
    await unlink(path);
    return file;
  } catch (error) {
    throw noRoom(error);
  }
}

function noRoom(error: unknown): RembgError {
  const folder = quoted(tmpdir());
  return new RembgError(`The picture cannot be kept in ${folder}: ${reason(error)}`, {
    cause: error,
  });
}
