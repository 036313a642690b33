// The files that people take home: one, or all in a ZIP.

import { compose, composeMask, groundOf } from "./compose.js";
import { encode } from "./encode.js";
import { EXTENSIONS, QUALITY } from "./formats.js";
import { placed } from "./geometry.js";
import { withOwnColors } from "./interior.js";
import { PictureError, clearCanvas, openOriginal, openPicture, release, sizeOf } from "./picture.js";
import { active, painted } from "./strokes.js";
import { downloadZip } from "../vendor/client-zip.js";

/** @typedef {import("./controls.js").Look} Look */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./picture.js").Words} Words */

const ZIP_NAME = "openrembg.zip";
const MOST_LETTERS = 100;
const KEEP_ADDRESS_MS = 60_000;
/** Names that Windows keeps for itself, with any extension. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/i;
/** Control characters, marks that turn the direction of writing, halves of characters. */
const UNSEEN = /[\p{Cc}\p{Cs}\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]/gu;

/**
 * Return the finished picture as a file.
 * @param {Item} item One with a cut-out.
 * @param {Look} look @param {Words} words
 * @returns {Promise<{name: string, blob: Blob}>}
 * @throws {PictureError} Its message is a sentence for the reader.
 */
export async function makeFile(item, look, words) {
  const name = `${safeStem(item.name)}.${EXTENSIONS[look.format]}`;
  if (isAsItCame(item, look)) return { name, blob: /** @type {Blob} */ (item.cutout) };
  try {
    return { name, blob: await render(item, look) };
  } catch (error) {
    throw new PictureError(codeOf(error), words);
  }
}

/**
 * Make the finished picture and hand it to the reader.
 * @param {Item} item @param {Look} look @param {Words} words
 * @throws {PictureError}
 */
export async function downloadOne(item, look, words) {
  const { name, blob } = await makeFile(item, look, words);
  save(name, blob);
}

/**
 * Make all pictures, one after the other, and hand them over in a ZIP.
 * @param {Item[]} items Those with a cut-out.
 * @param {Look} look @param {Words} words
 * @param {(done: number, all: number) => void} onProgress
 * @returns {Promise<{item: Item, error: PictureError}[]>} The pictures that are not in it, and why.
 * @throws {PictureError} When not one could be made.
 */
export async function downloadAll(items, look, words, onProgress) {
  /** @type {{item: Item, error: PictureError}[]} */
  const failures = [];
  const zip = downloadZip(files(items, look, words, onProgress, failures));
  const blob = await zip.blob();
  if (failures.length === items.length && failures.length) throw failures[0].error;
  save(ZIP_NAME, blob);
  return failures;
}

/**
 * @param {Item[]} items @param {Look} look @param {Words} words
 * @param {(done: number, all: number) => void} onProgress
 * @param {{item: Item, error: PictureError}[]} failures Takes what could not be made.
 */
async function* files(items, look, words, onProgress, failures) {
  const taken = new Set();
  for (const [index, item] of items.entries()) {
    onProgress(index, items.length);
    try {
      const { name, blob } = await makeFile(item, look, words);
      yield { name: uniqueName(name, taken), input: blob, lastModified: new Date() };
    } catch (error) {
      failures.push({ item, error: /** @type {PictureError} */ (error) });
    }
  }
  onProgress(items.length, items.length);
}

/**
 * Return whether the server's own bytes are what is wanted.
 * @param {Item} item @param {Look} look
 */
function isAsItCame(item, look) {
  const { background, w, h, angle, format, quality, mask } = look;
  const isUnturned = angle % 360 === 0 && w === null && h === null;
  const isUnpainted = active(item.strokes).length === 0;
  const isBare = background.kind === "none" && !mask;
  return isBare && isUnturned && isUnpainted && format === "webp" && quality === QUALITY.webp;
}

/**
 * @param {Item} item @param {Look} look
 * @throws {PictureError}
 */
async function render(item, look) {
  const layers = await layersOf(item, look);
  const picture = await backgroundOf(look);
  const { size } = placed(...layers.size, look);
  const context = clearCanvas(...size);
  try {
    if (look.mask) composeMask(context, layers, look);
    else compose(context, layers, look, groundOf(look, layers, picture, size));
    for (const source of [layers.cutout, layers.original, picture]) release(source);
    return await encode(context.canvas, look);
  } finally {
    release(context.canvas);
  }
}

/** @param {Item} item @param {Look} look */
async function layersOf(item, look) {
  const file = await openPicture(/** @type {Blob} */ (item.cutout));
  const size = sizeOf(file);
  const original = await originalFor(item, look, size);
  const cutout = original && !look.mask ? withOwnColors(file, original) : file;
  if (cutout !== file) release(file);
  const strokes = active(item.strokes);
  if (strokes.length === 0) return { size, cutout, original };
  const canvas = painted(cutout, original, strokes, size);
  release(cutout);
  return { size, cutout: canvas, original };
}

/**
 * Open the photo. Where it adds nothing but exact colours, a browser may do without it.
 * @param {Item} item @param {Look} look @param {Size} size
 */
async function originalFor(item, look, size) {
  const isBehind = look.background.kind === "blur" && !look.mask;
  const isPainted = active(item.strokes).some(({ tool }) => tool === "restore");
  if (isBehind || isPainted) return openOriginal(item.file, size);
  return look.mask ? null : openOriginal(item.file, size).catch(() => null);
}

/** @param {Look} look */
async function backgroundOf({ background: { kind, picture } }) {
  return kind === "picture" && picture ? openPicture(picture) : null;
}

/**
 * Return the name of the sentence that says what went wrong.
 * @param {unknown} error
 */
function codeOf(error) {
  if (error instanceof PictureError) return error.code;
  // That is how browsers say that memory is short.
  return error instanceof RangeError ? "too_large" : "not_made";
}

/**
 * Return a file's name without its extension, as every system can keep it.
 * @param {string} name
 */
export function safeStem(name) {
  const stem = name.normalize("NFC").replace(/\.[^.]*$/, "");
  const plain = stem.replace(UNSEEN, "").replace(/[/\\:*?"<>|]/g, "-");
  const short = [...plain].slice(0, MOST_LETTERS).join("").replace(/^[. ]+|[. ]+$/g, "");
  if (!short) return "picture";
  return RESERVED.test(short.split(".")[0]) ? `_${short}` : short;
}

/**
 * Return the name, numbered if it is taken. Some systems know no capital letters.
 * @param {string} name @param {Set<string>} taken Takes the name.
 */
export function uniqueName(name, taken) {
  const dot = name.lastIndexOf(".");
  let free = name;
  for (let count = 2; taken.has(free.toLowerCase()); count++) {
    free = `${name.slice(0, dot)} (${count})${name.slice(dot)}`;
  }
  taken.add(free.toLowerCase());
  return free;
}

/**
 * @param {string} name @param {Blob} blob
 */
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  // The browser may still ask where to.
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_ADDRESS_MS);
}
