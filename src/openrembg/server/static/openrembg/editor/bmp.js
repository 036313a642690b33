// BMP, as the server writes it (matting/encode.py): 24 bits a pixel, a mask in 8 bits of grey.

import { penOf } from "./picture.js";

const FILE_HEADER = 14;
const INFO_HEADER = 108;
const DOTS_A_METRE = 2835;
const STRIPE = 256;

/**
 * Return the canvas as a BMP file; alpha is not looked at.
 * Source: BITMAPV4HEADER (Microsoft, Windows GDI), bV4CSType LCS_sRGB.
 * @param {HTMLCanvasElement} canvas
 * @param {boolean} grey Keep one channel, with a palette of greys.
 */
export function bmp(canvas, grey) {
  const { width, height } = canvas;
  const stride = Math.ceil((width * (grey ? 1 : 3)) / 4) * 4;
  const offset = FILE_HEADER + INFO_HEADER + (grey ? 1024 : 0);
  const bytes = new Uint8Array(offset + stride * height);
  writeHeader(bytes, { width, height, offset, grey });
  forEachStripe(canvas, (pixels, top, rows) => {
    for (let row = 0; row < rows; row++) {
      // The lowest row comes first.
      const to = offset + (height - 1 - top - row) * stride;
      const from = row * width * 4;
      if (grey) copyChannel(pixels, from, bytes, to, width, 1);
      else for (let part = 0; part < 3; part++) copyChannel(pixels, from + 2 - part, bytes, to + part, width, 3);
    }
  });
  return new Blob([bytes], { type: "image/bmp" });
}

/**
 * Hand over a canvas's pixels, some rows at a time, so that they never lie there twice.
 * @param {HTMLCanvasElement} canvas
 * @param {(pixels: Uint8ClampedArray, top: number, rows: number) => void} take
 */
export function forEachStripe(canvas, take) {
  const context = penOf(canvas);
  for (let top = 0; top < canvas.height; top += STRIPE) {
    const rows = Math.min(STRIPE, canvas.height - top);
    take(context.getImageData(0, top, canvas.width, rows).data, top, rows);
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {{width: number, height: number, offset: number, grey: boolean}} facts
 */
function writeHeader(bytes, { width, height, offset, grey }) {
  const view = new DataView(bytes.buffer);
  const long = (/** @type {number} */ at, /** @type {number} */ value) => view.setUint32(at, value, true);
  const short = (/** @type {number} */ at, /** @type {number} */ value) => view.setUint16(at, value, true);
  short(0, 0x4d42); // "BM"
  long(2, bytes.length);
  long(10, offset);
  long(14, INFO_HEADER);
  long(18, width);
  long(22, height);
  short(26, 1);
  short(28, grey ? 8 : 24);
  long(34, bytes.length - offset);
  long(38, DOTS_A_METRE);
  long(42, DOTS_A_METRE);
  long(46, grey ? 256 : 0);
  long(70, 0x73524742); // "sRGB"
  if (grey) writeGreys(bytes, FILE_HEADER + INFO_HEADER);
}

/** @param {Uint8Array} bytes @param {number} at */
function writeGreys(bytes, at) {
  for (let level = 0; level < 256; level++) bytes.fill(level, at + level * 4, at + level * 4 + 3);
}

/**
 * @param {Uint8ClampedArray} pixels @param {number} from
 * @param {Uint8Array} bytes @param {number} to
 * @param {number} width @param {number} step Bytes of a pixel.
 */
function copyChannel(pixels, from, bytes, to, width, step) {
  for (let x = 0; x < width; x++) bytes[to + x * step] = pixels[from + x * 4];
}
