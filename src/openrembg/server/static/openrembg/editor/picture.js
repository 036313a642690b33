// From a file to pixels on a canvas, and what there is to say when a browser cannot.

import { stretch } from "./geometry.js";

/** @typedef {import("./geometry.js").Matrix} Matrix */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {Record<string, string>} Words */
/** @typedef {ImageBitmap | HTMLImageElement | HTMLCanvasElement} Source */

/** From here on a canvas is tried before it is used: browsers draw nothing on one that is too large. */
const SURE_PIXELS = 16e6;

/** A phone has less memory to give. */
export const isSmall = matchMedia("(pointer: coarse)").matches || (/** @type {any} */ (navigator).deviceMemory ?? 8) <= 4;

/** What a person reads when no picture can be made; `code` is the name of the sentence. */
export class PictureError extends Error {
  /** @param {string} code @param {Words} [words] */
  constructor(code, words) {
    super(words?.[code] ?? code);
    this.name = "PictureError";
    this.code = code;
  }
}

/**
 * Open a picture file, upright. To be released: fifty megapixels take 200 MB.
 * @param {Blob} file
 * @returns {Promise<ImageBitmap | HTMLImageElement>}
 * @throws {PictureError} undecodable
 */
export async function openPicture(file) {
  try {
    return await createImageBitmap(file);
  } catch {
    return openElement(file);
  }
}

/**
 * Open a picture as an element: slower, and more memory, but of more kinds in some browsers.
 * @param {Blob} file
 * @throws {PictureError} undecodable
 */
async function openElement(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return image;
  } catch {
    throw new PictureError("undecodable");
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

/**
 * Open the photo that a cut-out of `size` was made from.
 * @param {Blob} file @param {Size} size
 * @throws {PictureError} undecodable, also when the browser does not turn it upright.
 */
export async function openOriginal(file, size) {
  const picture = await openPicture(file);
  if (String(sizeOf(picture)) === String(size)) return picture;
  release(picture);
  const element = await openElement(file);
  if (String(sizeOf(element)) === String(size)) return element;
  throw new PictureError("undecodable");
}

/**
 * Return a picture's width and height, in its own pixels.
 * @param {Source} source
 * @returns {Size}
 */
export function sizeOf(source) {
  if (source instanceof HTMLImageElement) return [source.naturalWidth, source.naturalHeight];
  return [source.width, source.height];
}

/**
 * Return a clear canvas's context.
 * @param {number} width @param {number} height
 * @param {HTMLCanvasElement} [canvas] One that is used again.
 * @throws {PictureError} too_large
 */
export function clearCanvas(width, height, canvas = document.createElement("canvas")) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context || canvas.width !== width || canvas.height !== height) {
    throw new PictureError("too_large");
  }
  if (width * height > SURE_PIXELS && !holds(context)) throw new PictureError("too_large");
  context.imageSmoothingQuality = "high";
  return context;
}

/** @param {HTMLCanvasElement} canvas One that was made by `clearCanvas`. */
export const penOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/** @param {CanvasRenderingContext2D} context */
function holds(context) {
  const { width, height } = context.canvas;
  try {
    context.fillRect(width - 1, height - 1, 1, 1);
    const [, , , alpha] = context.getImageData(width - 1, height - 1, 1, 1).data;
    context.clearRect(width - 1, height - 1, 1, 1);
    return alpha === 255;
  } catch {
    return false;
  }
}

/**
 * Give a picture's memory back now; some browsers wait long until they do it themselves.
 * @param {Source | null | undefined} source
 */
export function release(source) {
  if (source instanceof ImageBitmap) source.close();
  if (!(source instanceof HTMLCanvasElement)) return;
  source.width = 0;
  source.height = 0;
}

/**
 * Return the source on a canvas of width × height, or itself when it has that size and is a canvas.
 * Shrinks by halves: smoothing alone looks at four pixels only, wherever "high" is unknown.
 * @param {Source} source
 * @param {number} width @param {number} height
 * @returns {HTMLCanvasElement}
 */
export function resampled(source, width, height) {
  let [wide, high] = sizeOf(source);
  if (source instanceof HTMLCanvasElement && wide === width && high === height) return source;
  let from = source;
  for (;;) {
    wide = Math.max(width, Math.ceil(wide / 2));
    high = Math.max(height, Math.ceil(high / 2));
    const context = clearCanvas(wide, high);
    context.drawImage(from, 0, 0, wide, high);
    if (from !== source) release(from);
    if (wide === width && high === height) return context.canvas;
    from = context.canvas;
  }
}

/**
 * Draw a source through a map that takes width × height to the output, shrinking it well.
 * @param {CanvasRenderingContext2D} context
 * @param {Source} source Of any size: it stands for width × height.
 * @param {Size} size @param {Matrix} matrix
 */
export function drawThrough(context, source, [width, height], matrix) {
  const [wide, high] = sizeOf(source);
  const [across, down] = stretch(matrix);
  const [least, lowest] = [enough(wide, width * across), enough(high, height * down)];
  const small = least === wide && lowest === high ? source : resampled(source, least, lowest);
  context.save();
  context.setTransform(...matrix);
  context.drawImage(small, 0, 0, width, height);
  context.restore();
  if (small !== source) release(small);
}

/**
 * Return the length after as many halvings as leave at least what is needed.
 * @param {number} length @param {number} needed
 */
function enough(length, needed) {
  let left = length;
  while (left / 2 >= needed && left > 1) left = Math.ceil(left / 2);
  return left;
}
