/* Small pieces made into larger ones: a write for each would be slow, a Buffer for each large. */

import { PIECE_BYTES } from "./picture.js";

/** Yield the same bytes in pieces of 64 KiB or so. */
export async function* gathered(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let buffer = Buffer.allocUnsafe(PIECE_BYTES);
  let used = 0;
  for await (const piece of pieces) {
    if (used > 0 && used + piece.byteLength > PIECE_BYTES) {
      yield buffer.subarray(0, used);
      // The one that reads may keep what it got.
      buffer = Buffer.allocUnsafe(PIECE_BYTES);
      used = 0;
    }
    if (piece.byteLength >= PIECE_BYTES) {
      yield piece;
      continue;
    }
    buffer.set(piece, used);
    used += piece.byteLength;
  }
  if (used > 0) yield buffer.subarray(0, used);
}
