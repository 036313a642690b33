// Small pictures for the list, made one after the other: a decoded photo is large.

/** @type {Promise<void>} */
let last = Promise.resolve();

/**
 * Draw a picture into a canvas, cut to its shape; one that cannot be decoded leaves it empty.
 * @param {HTMLCanvasElement} canvas @param {Blob} picture
 */
export function paint(canvas, picture) {
  last = last.then(() => draw(canvas, picture));
}

/** @param {HTMLCanvasElement} canvas @param {Blob} picture */
async function draw(canvas, picture) {
  if (!canvas.isConnected) return;
  const bitmap = await decode(canvas, picture);
  if (bitmap === null) return;
  const scale = Math.max(canvas.width / bitmap.width, canvas.height / bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
  bitmap.close();
}

/** @param {HTMLCanvasElement} canvas @param {Blob} picture */
async function decode(canvas, picture) {
  try {
    const options = { resizeWidth: canvas.width * 2, resizeQuality: /** @type {const} */ ("medium") };
    return await createImageBitmap(picture, options);
  } catch {
    return null;
  }
}
