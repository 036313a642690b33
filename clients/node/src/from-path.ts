/* A picture that is a file on this disk, or what comes out of a named pipe. */

import { constants, openSync } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";
import { Socket } from "node:net";
import { basename } from "node:path";
import type { Readable } from "node:stream";

import { InputError, RembgError } from "./errors.js";
import { spooledStream } from "./from-stream.js";
import { inFile, NO_NAME, type Picture } from "./picture.js";
import { codeOf, printable, quoted, shown } from "./printable.js";

const MESSAGE_CHARACTERS = 300;
// Opening a pipe must not wait for its writer. Windows has neither.
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** Open the picture at a path. Raises InputError. */
export async function fromPath(path: string, signal: AbortSignal): Promise<Picture> {
  const name = basename(path) || NO_NAME;
  if (!path) throw new InputError("The path of the picture is empty.");
  try {
    if (await isPipe(path)) return await spooledStream(pipe(path), name, signal);
    return await fromFile(await open(path, FLAGS), path, signal);
  } catch (error) {
    // Errors of ours are complete.
    if (error instanceof RembgError || !codeOf(error)) throw error;
    throw new InputError(complaint(error, path), { cause: error });
  }
}

async function isPipe(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFIFO();
  } catch {
    return false; // What is wrong with it is told when it is opened.
  }
}

async function fromFile(file: FileHandle, path: string, signal: AbortSignal): Promise<Picture> {
  try {
    const facts = await file.stat();
    if (facts.isDirectory()) await file.read(Buffer.alloc(1)); // Fails, in the system's words.
    if (facts.isFile()) return inFile(file, facts.size, basename(path));
    const stream = file.createReadStream({ autoClose: false });
    const picture = await spooledStream(stream, basename(path), signal);
    await file.close();
    return picture;
  } catch (error) {
    await file.close();
    throw error;
  }
}

// In Node's own words, as the published client has them. Those about an open file have no path.
function complaint(error: unknown, path: string): string {
  const said = shown(printable(error instanceof Error ? error.message : ""), MESSAGE_CHARACTERS);
  const place = said.endsWith(", read") ? ` ${quoted(path)}` : "";
  return `${said}${place}${hint(path)}`;
}

function hint(path: string): string {
  if (/^data:/i.test(path)) return ". A data URL is given as { base64: 'data:…' }.";
  if (/^file:\/\//i.test(path)) return ". An address of a file is given as new URL('file://…').";
  return "";
}

// A socket waits for a pipe in the event loop. A read of the file system's would wait in a thread,
// which nothing can wake but the writer.
function pipe(path: string): Readable {
  return new Socket({ fd: openSync(path, FLAGS), readable: true, writable: false });
}
