// The formats of files, and what this browser can do with them.

/** @typedef {"webp" | "png" | "jpeg" | "bmp"} Format */

/** The quality that the server encodes with, and the controls begin with. */
export const QUALITY = { webp: 80, png: 100, jpeg: 92, bmp: 100 };
export const EXTENSIONS = { webp: "webp", png: "png", jpeg: "jpg", bmp: "bmp" };

/** @param {Format} format */
export const keepsAlpha = (format) => format === "webp" || format === "png";

/**
 * Return whether this browser writes WebP; Safari does not.
 * @returns {Promise<boolean>}
 */
export function writesWebp() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  return new Promise((resolve) => {
    canvas.toBlob((blob) => resolve(blob?.type === "image/webp"), "image/webp");
  });
}
