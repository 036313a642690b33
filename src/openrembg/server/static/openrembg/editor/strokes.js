// Brush strokes as vectors, in the picture's own pixels: the same at every zoom and in the file.

import { clearCanvas, sizeOf } from "./picture.js";

/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {[x: number, y: number]} Point */
/** @typedef {import("./picture.js").Source} Source */

/**
 * One stroke. The tool "reset" takes all strokes before it away, and can be undone like one.
 * @typedef {object} Stroke
 * @property {"restore" | "erase" | "reset"} tool
 * @property {number} size The brush's diameter in pixels of the picture.
 * @property {boolean} soft Whether the edge fades.
 * @property {Point[]} points In pixels of the picture.
 */

/** A soft stroke is drawn as so many strokes in one another. */
const RINGS = 16;
/** The part of a soft brush's radius that covers fully. */
const CORE = 0.25;

/**
 * Return the strokes that count: those after the last "reset".
 * @param {Stroke[]} strokes
 */
export function active(strokes) {
  return strokes.slice(strokes.findLastIndex((stroke) => stroke.tool === "reset") + 1);
}

/**
 * Draw strokes over a cut-out whose context is scaled to the picture's own pixels.
 * @param {CanvasRenderingContext2D} context @param {Stroke[]} strokes
 * @param {CanvasPattern | null} original What "restore" brings back; see `patternOf`.
 */
export function paint(context, strokes, original) {
  for (const stroke of strokes) {
    if (stroke.tool === "erase") draw(context, stroke, "destination-out", "#000");
    if (stroke.tool === "restore" && original) draw(context, stroke, "source-over", original);
  }
}

/**
 * Return the original as a paint for strokes.
 * @param {CanvasRenderingContext2D} context
 * @param {Source | null} original Of any size: it stands for `size`.
 * @param {Size} size
 */
export function patternOf(context, original, [width, height]) {
  if (!original) return null;
  const [wide, high] = sizeOf(original);
  const pattern = context.createPattern(original, "no-repeat");
  pattern?.setTransform(new DOMMatrix([width / wide, 0, 0, height / high, 0, 0]));
  return pattern;
}

/**
 * Return the cut-out with strokes on it, on a new canvas of the cut-out's size.
 * @param {Source} cutout @param {Source | null} original @param {Stroke[]} strokes
 * @param {Size} size What both stand for, in pixels of the picture.
 */
export function painted(cutout, original, strokes, size) {
  const context = clearCanvas(...sizeOf(cutout));
  context.drawImage(cutout, 0, 0);
  toNative(context, size);
  paint(context, active(strokes), patternOf(context, original, size));
  context.setTransform(1, 0, 0, 1, 0, 0);
  return context.canvas;
}

/**
 * Let a context be drawn on in the picture's own pixels.
 * @param {CanvasRenderingContext2D} context @param {Size} size
 */
export function toNative(context, [width, height]) {
  context.setTransform(context.canvas.width / width, 0, 0, context.canvas.height / height, 0, 0);
}

/**
 * Each ring adds to what lies under it, so that together they cover as `covered` says.
 * @param {CanvasRenderingContext2D} context @param {Stroke} stroke
 * @param {GlobalCompositeOperation} operation @param {string | CanvasPattern} paint
 */
function draw(context, stroke, operation, paint) {
  const path = pathOf(stroke.points);
  const rings = stroke.soft ? RINGS : 1;
  context.save();
  context.globalCompositeOperation = operation;
  context.strokeStyle = paint;
  context.lineCap = "round";
  context.lineJoin = "round";
  for (let ring = 1; ring <= rings; ring++) {
    const inward = rings === 1 ? 0 : (ring - 0.5) / rings;
    context.lineWidth = stroke.size * (1 - inward * (1 - CORE));
    context.globalAlpha = 1 - (1 - covered(ring / rings)) / (1 - covered((ring - 1) / rings));
    context.stroke(path);
  }
  context.restore();
}

/**
 * Return how much the brush covers on its way inward, 0 to 1, without a corner at either end.
 * @param {number} inward 0 at the rim, 1 at the core.
 */
const covered = (inward) => inward * inward * (3 - 2 * inward);

/**
 * Return a smooth line through points: curves between the middles, with the points as handles.
 * @param {Point[]} points
 */
function pathOf(points) {
  const path = new Path2D();
  const [first] = points;
  const last = /** @type {Point} */ (points.at(-1));
  path.moveTo(...first);
  for (let index = 1; index < points.length - 1; index++) {
    const [x, y] = points[index];
    const [nextX, nextY] = points[index + 1];
    path.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2);
  }
  // A line without length would be no dot everywhere.
  path.lineTo(last[0] + 0.01, last[1]);
  return path;
}
