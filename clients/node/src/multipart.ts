/* A form with a picture as multipart/form-data (RFC 7578), of a length that is known before. */

import { randomUUID } from "node:crypto";

import type { Body } from "./exchange.js";
import type { Field } from "./options.js";
import { changed, PIECE_BYTES, type Picture } from "./picture.js";

const LINE = "\r\n";
// What would end the quotes or the line is written as browsers write it; the backslash, in which
// readers of such headers disagree, in the same way.
const UNSAFE = /["\\\r\n]/g;
// Other controls stand for nothing in a name.
const CONTROLS = /[\x00-\x1f\x7f]/g;

/** Return the form, the picture last. */
export function form(fields: readonly Field[], picture: Picture): Body {
  const boundary = `rembg-${randomUUID()}`;
  const texts = fields.map(([name, text]) => part(boundary, `name="${name}"`) + LINE + text + LINE);
  const file = part(boundary, `name="image"; filename="${fileName(picture.name)}"`)
    + `Content-Type: application/octet-stream${LINE}${LINE}`;
  const head = Buffer.from(texts.join("") + file);
  const tail = Buffer.from(`${LINE}--${boundary}--${LINE}`);
  return {
    type: `multipart/form-data; boundary=${boundary}`,
    size: head.length + picture.size + tail.length,
    pieces: () => formPieces(head, picture, tail),
  };
}

async function* formPieces(head: Buffer, picture: Picture, tail: Buffer): AsyncIterable<Uint8Array> {
  yield head;
  let left = picture.size;
  for await (const bytes of picture.pieces()) {
    left -= bytes.byteLength;
    if (left < 0) break;
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      yield bytes.subarray(at, at + PIECE_BYTES);
    }
  }
  // The length was promised; and half of a picture is none.
  if (left !== 0) throw changed(picture.name);
  yield tail;
}

function part(boundary: string, disposition: string): string {
  return `--${boundary}${LINE}Content-Disposition: form-data; ${disposition}${LINE}`;
}

function fileName(name: string): string {
  return name.replace(UNSAFE, escaped).replace(CONTROLS, "_");
}

function escaped(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}
