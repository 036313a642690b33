// From a canvas to a file: WebP, PNG, JPEG or BMP.

import { bmp, forEachStripe } from "./bmp.js";
import { PictureError } from "./picture.js";

/** @typedef {import("./formats.js").Format} Format */

/**
 * Return the canvas as a file.
 * @param {HTMLCanvasElement} canvas
 * @param {{format: Format, quality: number, mask: boolean}} look
 * @throws {PictureError} no_webp, too_large
 */
export async function encode(canvas, { format, quality, mask }) {
  if (format === "bmp") return bmp(canvas, mask);
  if (format === "png" && mask && "CompressionStream" in window) return greyPng(canvas);
  // A browser's WebP of quality 1 is lossless.
  return written(canvas, format, mask && format === "webp" ? 1 : quality / 100);
}

/**
 * @param {HTMLCanvasElement} canvas @param {Format} format @param {number} quality 0 to 1
 */
async function written(canvas, format, quality) {
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, `image/${format}`, quality));
  if (!blob) throw new PictureError("too_large");
  if (blob.type !== `image/${format}`) throw new PictureError("no_webp");
  return blob;
}

/**
 * Return the canvas as a PNG of 8 bits of grey, which no browser's own encoder writes.
 * Source: W3C PNG, third edition, sections 5, 9 and 10.
 * @param {HTMLCanvasElement} canvas
 */
async function greyPng(canvas) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, canvas.width);
  header.setUint32(4, canvas.height);
  header.setUint8(8, 8);
  const parts = [
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("sRGB", new Uint8Array(1)),
    chunk("IDAT", await deflated(canvas)),
    chunk("IEND", new Uint8Array(0)),
  ];
  return new Blob(parts, { type: "image/png" });
}

/** @param {HTMLCanvasElement} canvas */
async function deflated(canvas) {
  const stream = new CompressionStream("deflate");
  const writer = stream.writable.getWriter();
  const whole = new Response(stream.readable).arrayBuffer();
  forEachStripe(canvas, (pixels, _top, rows) => writer.write(greyLines(pixels, canvas.width, rows)));
  writer.close();
  return new Uint8Array(await whole);
}

/**
 * Return scan lines, each led by its filter type, 0.
 * @param {Uint8ClampedArray} pixels @param {number} width @param {number} rows
 */
function greyLines(pixels, width, rows) {
  const lines = new Uint8Array(rows * (width + 1));
  for (let row = 0; row < rows; row++) {
    const to = row * (width + 1) + 1;
    for (let x = 0; x < width; x++) lines[to + x] = pixels[(row * width + x) * 4];
  }
  return lines;
}

/**
 * @param {string} name @param {Uint8Array} body
 */
function chunk(name, body) {
  const bytes = new Uint8Array(body.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(new TextEncoder().encode(name), 4);
  bytes.set(body, 8);
  view.setUint32(body.length + 8, crc32(bytes.subarray(4, body.length + 8)));
  return bytes;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** @param {Uint8Array} bytes */
function crc32(bytes) {
  let value = ~0;
  for (const byte of bytes) value = CRC_TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}
