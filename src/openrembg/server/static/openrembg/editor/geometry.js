// Sizes and places, as the server reckons them (matting/compose.py): turn first, then resize.

export const MAX_SIDE = 10000;
export const MAX_ANGLE = 360;

/**
 * How the picture shall lie: the part of a look that moves pixels.
 * @typedef {object} Shape
 * @property {number | null} w Pixels, 1 to MAX_SIDE; null follows the picture.
 * @property {number | null} h The same for the height.
 * @property {boolean} exact Force exactly w × h.
 * @property {number} angle Degrees counter-clockwise, -MAX_ANGLE to MAX_ANGLE.
 * @property {boolean} expand Grow the canvas so that nothing is cropped.
 */

/**
 * An affine map, as in CanvasRenderingContext2D.setTransform: x′ = a x + c y + e, y′ = b x + d y + f.
 * @typedef {[a: number, b: number, c: number, d: number, e: number, f: number]} Matrix
 */

/** @typedef {[width: number, height: number]} Size */

/**
 * Where a picture comes to lie in the output.
 * @typedef {object} Placement
 * @property {Size} size The output's size in pixels.
 * @property {Matrix} matrix From the picture's pixels to the output's.
 */

/**
 * Return the size of the canvas after a turn.
 * @param {number} width @param {number} height
 * @param {number} angle @param {boolean} expand
 * @returns {Size}
 */
export function rotatedSize(width, height, angle, expand) {
  if (angle % 180 === 0 || !expand) return [width, height];
  if (angle % 90 === 0) return [height, width];
  const radians = (angle * Math.PI) / 180;
  const cos = Math.abs(Math.cos(radians));
  const sin = Math.abs(Math.sin(radians));
  return [
    Math.max(1, Math.ceil(width * cos + height * sin - 1e-6)),
    Math.max(1, Math.ceil(width * sin + height * cos - 1e-6)),
  ];
}

/**
 * Return the size after the resize of a width × height canvas.
 * With one side given the other follows; a side over MAX_SIDE scales both down to fit.
 * @param {number} width @param {number} height @param {Shape} shape
 * @returns {Size}
 */
export function outputSize(width, height, shape) {
  const { w, h, exact } = shape;
  if (w === null && h === null) return [width, height];
  if (w !== null && h !== null && exact) return [w, h];
  return fit(width, height, w ?? MAX_SIDE, h ?? MAX_SIDE);
}

/**
 * @param {number} width @param {number} height @param {number} maxWidth @param {number} maxHeight
 * @returns {Size}
 */
function fit(width, height, maxWidth, maxHeight) {
  if (maxWidth * height <= maxHeight * width) {
    return [maxWidth, Math.max(1, divide(height * maxWidth, width))];
  }
  return [Math.max(1, divide(width * maxHeight, height)), maxHeight];
}

/**
 * Return the quotient, rounded half up.
 * @param {number} number @param {number} by
 */
const divide = (number, by) => Math.floor((2 * number + by) / (2 * by));

/**
 * Return where a width × height picture lies in the output.
 * @param {number} width @param {number} height @param {Shape} shape
 * @returns {Placement}
 */
export function placed(width, height, shape) {
  const canvas = rotatedSize(width, height, shape.angle, shape.expand);
  const size = outputSize(...canvas, shape);
  const turned = turn(width, height, shape.angle, canvas);
  return { size, matrix: scaled(turned, size[0] / canvas[0], size[1] / canvas[1]) };
}

/**
 * @param {number} width @param {number} height @param {number} angle @param {Size} canvas
 * @returns {Matrix}
 */
function turn(width, height, angle, canvas) {
  if (angle % 90 === 0) return quarterTurn(width, height, (((angle / 90) % 4) + 4) % 4, canvas);
  const radians = (angle * Math.PI) / 180;
  const cos = Math.cos(radians);
  const sin = Math.sin(radians);
  const [x, y] = [width / 2, height / 2];
  const [middleX, middleY] = [canvas[0] / 2, canvas[1] / 2];
  // The y axis points down: counter-clockwise on the screen.
  return [cos, -sin, sin, cos, middleX - cos * x - sin * y, middleY + sin * x - cos * y];
}

/**
 * Turn by quarters, centred in whole pixels, so that each pixel stays a pixel.
 * @param {number} width @param {number} height @param {number} turns @param {Size} canvas
 * @returns {Matrix}
 */
function quarterTurn(width, height, turns, canvas) {
  const [wide, high] = turns % 2 ? [height, width] : [width, height];
  const x = centred(canvas[0], wide);
  const y = centred(canvas[1], high);
  if (turns === 0) return [1, 0, 0, 1, x, y];
  if (turns === 1) return [0, -1, 1, 0, x, y + high];
  if (turns === 2) return [-1, 0, 0, -1, x + wide, y + high];
  return [0, 1, -1, 0, x + wide, y];
}

/**
 * Return where a length begins in another one that has the same centre.
 * @param {number} outer @param {number} inner
 */
function centred(outer, inner) {
  const length = Math.min(outer, inner);
  return Math.floor((outer - length) / 2) - Math.floor((inner - length) / 2);
}

/**
 * Return a map whose results are stretched.
 * @param {Matrix} matrix @param {number} x @param {number} y
 * @returns {Matrix}
 */
export function scaled([a, b, c, d, e, f], x, y) {
  return [a * x, b * y, c * x, d * y, e * x, f * y];
}

/**
 * Return the point that the map takes to (x, y).
 * @param {Matrix} matrix @param {number} x @param {number} y
 * @returns {[x: number, y: number]}
 */
export function origin([a, b, c, d, e, f], x, y) {
  const area = a * d - b * c;
  return [(d * (x - e) - c * (y - f)) / area, (a * (y - f) - b * (x - e)) / area];
}

/**
 * Return how far apart two neighbouring pixels come to lie, along both axes of the source.
 * @param {Matrix} matrix
 * @returns {Size}
 */
export const stretch = ([a, b, c, d]) => [Math.hypot(a, b), Math.hypot(c, d)];
