// The subject's colours: from the photo wherever the cut-out is opaque, for the server changes none
// there, and a WebP file does a little (matting/foreground.py).

import { clearCanvas, isSmall, release, sizeOf } from "./picture.js";

/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./picture.js").Source} Source */

/** A larger cut-out stays as it is: one more picture of its size must fit into the memory. */
const MOST_PIXELS = isSmall ? 16e6 : 64e6;
const STRIPE = 256;
/** Four bytes as one number, as every processor with a browser keeps them: alpha is the highest. */
const OPAQUE = 0xff000000;
/** Where the two are compared as a whole: pixels a side, and how far apart they may be, of 255. */
const SAMPLE = 64;
const MOST_APART = 3;

/**
 * Return the cut-out with the photo's colours in its opaque parts, on a canvas; or the cut-out, when
 * it is too large, or when this browser shows the photo in other colours than the server does.
 * @param {Source} cutout @param {Source} original Of the same size.
 */
export function withOwnColors(cutout, original) {
  const [width, height] = sizeOf(cutout);
  if (width * height > MOST_PIXELS || !isAlike(cutout, original)) return cutout;
  const whole = clearCanvas(width, height);
  for (let top = 0; top < height; top += STRIPE) {
    const size = /** @type {Size} */ ([width, Math.min(STRIPE, height - top)]);
    whole.putImageData(mixed(stripeOf(cutout, top, size), stripeOf(original, top, size)), 0, top);
  }
  return whole.canvas;
}

/** @param {Source} source @param {number} top @param {Size} size */
const stripeOf = (source, top, size) => pixelsOf(source, [0, top, ...size], size);

/**
 * Return a part of a picture.
 * @param {Source} source @param {[x: number, y: number, width: number, height: number]} part
 * @param {Size} size
 */
function pixelsOf(source, part, size) {
  const canvas = document.createElement("canvas");
  canvas.getContext("2d", { willReadFrequently: true });
  const context = clearCanvas(...size, canvas);
  context.drawImage(source, ...part, 0, 0, ...size);
  const pixels = context.getImageData(0, 0, ...size);
  release(canvas);
  return pixels;
}

/** @param {ImageData} pixels @param {ImageData} original */
function mixed(pixels, original) {
  const [to, from] = [pixels, original].map(({ data }) => new Uint32Array(data.buffer));
  for (let at = 0; at < to.length; at++) {
    if (to[at] >= OPAQUE && from[at] >= OPAQUE) to[at] = from[at];
  }
  return pixels;
}

/** @param {Source} cutout @param {Source} original */
function isAlike(cutout, original) {
  const [one, other] = [cutout, original].map((source) => pixelsOf(source, [0, 0, ...sizeOf(source)], [SAMPLE, SAMPLE]).data);
  let [apart, count] = [0, 0];
  for (let at = 0; at < one.length; at += 4) {
    if (one[at + 3] < 255 || other[at + 3] < 255) continue;
    for (let part = at; part < at + 3; part++) apart += Math.abs(one[part] - other[part]);
    count += 3;
  }
  return apart < MOST_APART * count;
}
