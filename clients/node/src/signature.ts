/* Whether bytes begin as a picture of their type begins. */

import { unexpected } from "./answer.js";

const LONGEST = 12;
// In Latin-1; a dot stands for any byte.
const BEGINS: ReadonlyMap<string, RegExp> = new Map([
  ["image/webp", /^RIFF....WEBP/s],
  ["image/png", /^\x89PNG\r\n\x1a\n/],
  ["image/jpeg", /^\xff\xd8\xff/],
  ["image/bmp", /^BM/],
]);

/** Yield a picture's bytes, none before it is clear that they are one. Raises UnexpectedAnswer. */
export async function* refusedUnless(
  type: string,
  bytes: AsyncIterable<Buffer>,
): AsyncIterable<Buffer> {
  let begin: Buffer | null = Buffer.alloc(0);
  for await (const chunk of bytes) {
    if (begin === null) {
      yield chunk;
      continue;
    }
    begin = Buffer.concat([begin, chunk]);
    if (begin.length < LONGEST) continue;
    refuseOtherBegin(type, begin);
    yield begin;
    begin = null;
  }
  if (begin === null) return;
  if (begin.length === 0) throw unexpected("an empty picture");
  refuseOtherBegin(type, begin);
  yield begin;
}

function refuseOtherBegin(type: string, begin: Buffer): void {
  const text = begin.toString("latin1", 0, LONGEST);
  if (!BEGINS.get(type)?.test(text)) throw unexpected(`bytes that are not ${type}`);
}
