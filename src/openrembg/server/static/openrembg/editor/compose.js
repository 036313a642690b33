// From the cut-out to the finished picture: turn, resize, background, in that order.

import { keepsAlpha } from "./formats.js";
import { placed, scaled } from "./geometry.js";
import { clearCanvas, drawThrough, penOf, resampled, sizeOf } from "./picture.js";

/** @typedef {import("./controls.js").Look} Look */
/** @typedef {import("./geometry.js").Matrix} Matrix */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./picture.js").Source} Source */
/** @typedef {CanvasRenderingContext2D} Context */

/** How far the blur reaches, as a share of the longer side: least, and how often more at most. */
const BLUR_LEAST = 0.004;
const BLUR_RANGE = 15;
/** The blur is computed where it reaches so many pixels, and is the same at every size therefore. */
const BLUR_PIXELS = 2.5;
/** How much the subject's own colours count for what is blurred behind it. */
const SUBJECT_WEIGHT = 0.002;

/**
 * @typedef {object} Layers
 * @property {Size} size The picture's own size in pixels; the sources stand for it.
 * @property {Source} cutout
 * @property {Source | null} original
 */

/**
 * Return the map from the picture's pixels to those of a canvas that shows the output.
 * @param {HTMLCanvasElement} canvas @param {Size} size @param {Look} look
 * @returns {Matrix}
 */
export function mapTo(canvas, size, look) {
  const { size: output, matrix } = placed(...size, look);
  return scaled(matrix, canvas.width / output[0], canvas.height / output[1]);
}

/**
 * Draw the finished picture over the whole canvas, which may be smaller than the output.
 * @param {Context} context @param {Layers} layers @param {Look} look
 * @param {HTMLCanvasElement | null} ground See `groundOf`.
 */
export function compose(context, layers, look, ground) {
  const { canvas } = context;
  const matrix = mapTo(canvas, layers.size, look);
  const { background } = look;
  context.clearRect(0, 0, canvas.width, canvas.height);
  if (!keepsAlpha(look.format)) fill(context, "#fff");
  if (background.kind === "color") fill(context, background.color);
  if (background.kind === "picture" && ground) context.drawImage(ground, 0, 0);
  if (background.kind === "blur" && ground) drawThrough(context, ground, layers.size, matrix);
  drawThrough(context, layers.cutout, layers.size, matrix);
}

/**
 * Draw the matte: white where the subject is, black where nothing is.
 * @param {Context} context @param {Layers} layers @param {Look} look
 */
export function composeMask(context, layers, look) {
  drawAlone(context, layers.cutout, layers.size, look);
  fill(context, "#fff", "source-in");
  fill(context, "#000", "destination-over");
}

/**
 * Draw the original as it lies under the finished picture.
 * @param {Context} context @param {Layers} layers @param {Look} look
 */
export function composeOriginal(context, layers, look) {
  if (layers.original) drawAlone(context, layers.original, layers.size, look);
}

/** @param {Context} context @param {Source} source @param {Size} size @param {Look} look */
function drawAlone(context, source, size, look) {
  const { canvas } = context;
  context.clearRect(0, 0, canvas.width, canvas.height);
  drawThrough(context, source, size, mapTo(canvas, size, look));
}

/**
 * @param {Context} context @param {string} color @param {GlobalCompositeOperation} operation
 */
function fill(context, color, operation = "source-over") {
  context.save();
  context.globalCompositeOperation = operation;
  context.fillStyle = color;
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  context.restore();
}

/**
 * Return what lies behind: a picture of the canvas's size, a blurred original to be turned with the
 * cut-out, or null where no canvas is needed.
 * @param {Look} look @param {Layers} layers @param {Source | null} picture
 * @param {Size} size The canvas's.
 */
export function groundOf(look, layers, picture, size) {
  const { kind, blur } = look.background;
  if (kind === "picture" && picture) return covering(picture, ...size);
  if (kind === "blur" && layers.original) return blurred(layers.original, layers.cutout, blur);
  return null;
}

/**
 * Return the middle of a picture, as much of it as fills width × height.
 * @param {Source} picture @param {number} width @param {number} height
 */
function covering(picture, width, height) {
  const [wide, high] = sizeOf(picture);
  const scale = Math.max(width / wide, height / high);
  const context = clearCanvas(width, height);
  const x = (width - wide * scale) / 2;
  const y = (height - high * scale) / 2;
  drawThrough(context, picture, [wide, high], [scale, 0, 0, scale, x, y]);
  return context.canvas;
}

/**
 * Return the original, blurred and small. The subject hardly counts: it would shine around itself.
 * @param {Source} original @param {Source} cutout @param {number} amount 1 to 100
 */
function blurred(original, cutout, amount) {
  const [wide, high] = sizeOf(cutout);
  const reach = BLUR_LEAST * BLUR_RANGE ** (amount / 100);
  const scale = BLUR_PIXELS / (reach * Math.max(wide, high));
  const width = Math.max(1, Math.round(wide * scale));
  const height = Math.max(1, Math.round(high * scale));
  const pixels = pixelsOf(original, width, height);
  const subject = pixelsOf(cutout, width, height).data;
  const context = clearCanvas(width, height);
  context.putImageData(blur(pixels, subject), 0, 0);
  return context.canvas;
}

/**
 * @param {Source} source @param {number} width @param {number} height
 */
function pixelsOf(source, width, height) {
  return penOf(resampled(source, width, height)).getImageData(0, 0, width, height);
}

/**
 * Blur by a Gaussian in which each pixel weighs as much as it belongs to the background.
 * @param {ImageData} pixels @param {Uint8ClampedArray} subject Of the same size; its alpha counts.
 */
function blur(pixels, subject) {
  const { width, height, data } = pixels;
  const weighed = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += 4) {
    const weight = ((255 - subject[at + 3]) / 255 + SUBJECT_WEIGHT) * (data[at + 3] / 255 + 1e-6);
    for (let part = 0; part < 3; part++) weighed[at + part] = data[at + part] * weight;
    weighed[at + 3] = weight;
  }
  const across = smear(weighed, height, width, width * 4, 4);
  const down = smear(across, width, height, 4, width * 4);
  const out = new ImageData(width, height);
  for (let at = 0; at < data.length; at += 4) {
    for (let part = 0; part < 3; part++) out.data[at + part] = down[at + part] / down[at + 3];
    out.data[at + 3] = 255;
  }
  return out;
}

const KERNEL = Array.from({ length: 15 }, (_, index) => Math.exp(-((index - 7) ** 2) / (2 * BLUR_PIXELS ** 2)));

/**
 * Blur along one axis; beyond the ends the last pixel goes on.
 * @param {Float32Array} from @param {number} lines @param {number} length
 * @param {number} lineStep @param {number} step Distances in the array, of lines and of pixels.
 */
function smear(from, lines, length, lineStep, step) {
  const to = new Float32Array(from.length);
  for (let line = 0; line < lines; line++) {
    for (let index = 0; index < length; index++) {
      const at = line * lineStep + index * step;
      for (let tap = 0; tap < KERNEL.length; tap++) {
        const near = Math.min(length - 1, Math.max(0, index + tap - 7));
        const source = line * lineStep + near * step;
        for (let part = 0; part < 4; part++) to[at + part] += KERNEL[tap] * from[source + part];
      }
    }
  }
  return to;
}
