// A picture that is open on the stage: its pixels as finely as they are looked at, and its strokes.

import { clearCanvas, openOriginal, openPicture, penOf, release, resampled, sizeOf } from "./picture.js";
import { active, paint, painted, patternOf, toNative } from "./strokes.js";

/** @typedef {import("./compose.js").Layers} Layers */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./picture.js").Source} Source */
/** @typedef {import("./strokes.js").Stroke} Stroke */

/** @typedef {{left: number, top: number, right: number, bottom: number}} Box In pixels of the picture. */

/** A new point bends the line as far back as this many points. */
const BENT_POINTS = 4;

/** The strokes that were undone, by picture; a new stroke forgets them. */
/** @type {WeakMap<Item, Stroke[]>} */
const undone = new WeakMap();

/**
 * Says how finely a picture of a size shall be there: pixels of the view for one of the picture.
 * @typedef {(size: Size) => number} Fineness
 */

export class Opened {
  /** @type {HTMLCanvasElement | null} */
  #cutout = null;
  /** @type {HTMLCanvasElement | null} */
  #original = null;
  /** @type {HTMLCanvasElement | null} */
  #painted = null;
  /** The painted cut-out as it was before the stroke that is being drawn.
   * @type {HTMLCanvasElement | null} */
  #before = null;
  /** @type {Stroke | null} */
  #stroke = null;
  #isLoading = false;
  #isClosed = false;

  /** @param {Item} item @param {number} most The most pixels that one canvas may have. */
  constructor(item, most) {
    this.item = item;
    this.file = /** @type {Blob} */ (item.cutout);
    this.most = most;
    /** @type {Size} */
    this.size = [1, 1];
    this.scale = 0;
  }

  /**
   * Open a picture. One without a readable original has no before.
   * @param {Item} item @param {Fineness} fineness @param {number} most
   * @throws {PictureError} undecodable, too_large: the cut-out cannot be shown.
   */
  static async of(item, fineness, most) {
    const opened = new Opened(item, most);
    opened.#take(await opened.#load(fineness));
    return opened;
  }

  get hasOriginal() {
    return this.#original !== null;
  }

  get strokes() {
    return this.item.strokes;
  }

  get hasStrokes() {
    return active(this.strokes).length > 0;
  }

  get canRedo() {
    return (undone.get(this.item) ?? []).length > 0;
  }

  /** @returns {Layers} */
  get layers() {
    const cutout = /** @type {HTMLCanvasElement} */ (this.#painted ?? this.#cutout);
    return { size: this.size, cutout, original: this.#original };
  }

  /**
   * Open the picture again, if another view wants more pixels, or far fewer.
   * @param {Fineness} fineness
   * @returns {Promise<boolean>} Whether there is something new to draw.
   */
  async sharpen(fineness) {
    if (this.#isLoading || this.#scaleFor(this.size, fineness) === this.scale) return false;
    this.#isLoading = true;
    const loaded = await this.#load(fineness).catch(() => null);
    this.#isLoading = false;
    if (!loaded) return false;
    if (this.#isClosed || this.#stroke) {
      release(loaded.cutout);
      release(loaded.original);
      return false;
    }
    this.#take(loaded);
    return true;
  }

  /** Give back what the canvases hold. */
  close() {
    this.#isClosed = true;
    this.#release();
  }

  #release() {
    for (const canvas of [this.#cutout, this.#original, this.#painted, this.#before]) release(canvas);
    this.#cutout = this.#original = this.#painted = this.#before = null;
  }

  /**
   * @param {Size} size @param {Fineness} fineness
   */
  #scaleFor(size, fineness) {
    const needed = fineness(size);
    let scale = 1;
    while (scale / 2 >= needed || size[0] * size[1] * scale * scale > this.most) scale /= 2;
    return scale;
  }

  /**
   * Decode one file after the other: each may take 200 MB as long as it is there.
   * @param {Fineness} fineness
   */
  async #load(fineness) {
    const cutout = await openPicture(this.file);
    const size = sizeOf(cutout);
    const scale = this.#scaleFor(size, fineness);
    const small = reduced(cutout, scale);
    const original = await openOriginal(this.item.file, size).catch(() => null);
    return { size, scale, cutout: small, original: original && reduced(original, scale) };
  }

  /**
   * @param {{size: Size, scale: number, cutout: HTMLCanvasElement, original: HTMLCanvasElement | null}} loaded
   */
  #take({ size, scale, cutout, original }) {
    this.#release();
    this.size = size;
    this.scale = scale;
    this.#cutout = cutout;
    this.#original = original;
    this.#repaint();
  }

  /** @param {Stroke} stroke Its points are added one by one, each followed by `extend`. */
  begin(stroke) {
    const { cutout } = this.layers;
    this.#stroke = stroke;
    this.#before = cutout === this.#cutout ? null : /** @type {HTMLCanvasElement} */ (cutout);
    const context = clearCanvas(...sizeOf(cutout));
    context.drawImage(cutout, 0, 0);
    this.#painted = context.canvas;
  }

  /**
   * Draw what the stroke's last points changed.
   * @returns {Box} Where that is.
   */
  extend() {
    const stroke = /** @type {Stroke} */ (this.#stroke);
    const canvas = /** @type {HTMLCanvasElement} */ (this.#painted);
    const context = penOf(canvas);
    const box = boxOf(stroke, 2 / this.scale);
    context.save();
    toNative(context, this.size);
    context.beginPath();
    context.rect(...this.#inPixels(box));
    context.clip();
    context.clearRect(0, 0, ...this.size);
    const before = /** @type {HTMLCanvasElement} */ (this.#before ?? this.#cutout);
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(before, 0, 0);
    context.restore();
    paint(context, [stroke], patternOf(context, this.#original, this.size));
    context.restore();
    return box;
  }

  /** Keep the stroke. */
  end() {
    this.strokes.push(/** @type {Stroke} */ (this.#stroke));
    undone.delete(this.item);
    release(this.#before);
    this.#before = this.#stroke = null;
  }

  /** Forget the stroke that is being drawn. */
  cancel() {
    release(this.#painted);
    this.#painted = this.#before;
    this.#before = this.#stroke = null;
  }

  /** @returns {boolean} Whether there was something to undo. */
  undo() {
    const stroke = this.strokes.pop();
    if (!stroke) return false;
    undone.set(this.item, [...(undone.get(this.item) ?? []), stroke]);
    this.#repaint();
    return true;
  }

  /** @returns {boolean} Whether there was something to redo. */
  redo() {
    const strokes = undone.get(this.item) ?? [];
    const stroke = strokes.pop();
    if (!stroke) return false;
    this.strokes.push(stroke);
    this.#repaint();
    return true;
  }

  /** @returns {boolean} Whether there were strokes to take away. */
  reset() {
    if (!this.hasStrokes) return false;
    this.strokes.push({ tool: "reset", size: 0, soft: false, points: [] });
    undone.delete(this.item);
    this.#repaint();
    return true;
  }

  #repaint() {
    release(this.#painted);
    this.#painted = null;
    if (!this.hasStrokes || !this.#cutout) return;
    this.#painted = painted(this.#cutout, this.#original, this.strokes, this.size);
  }

  /**
   * Return the box in whole pixels of the canvas: a clip through a pixel would mix it.
   * @param {Box} box
   * @returns {[x: number, y: number, width: number, height: number]}
   */
  #inPixels({ left, top, right, bottom }) {
    const canvas = /** @type {HTMLCanvasElement} */ (this.#painted);
    const across = canvas.width / this.size[0];
    const down = canvas.height / this.size[1];
    const [x, y] = [Math.floor(left * across) / across, Math.floor(top * down) / down];
    return [x, y, Math.ceil(right * across) / across - x, Math.ceil(bottom * down) / down - y];
  }
}

/**
 * Return a picture on a canvas at a part of its size, and give the picture back.
 * @param {Source} picture @param {number} scale At most 1.
 */
function reduced(picture, scale) {
  const [width, height] = sizeOf(picture).map((side) => Math.max(1, Math.round(side * scale)));
  const small = resampled(picture, width, height);
  release(picture);
  return small;
}

/**
 * Return the box around the part of a stroke that its last point changed.
 * @param {Stroke} stroke @param {number} margin
 * @returns {Box}
 */
function boxOf({ size, points }, margin) {
  const bent = points.slice(-BENT_POINTS);
  const xs = bent.map(([x]) => x);
  const ys = bent.map(([, y]) => y);
  const around = size / 2 + margin;
  return {
    left: Math.min(...xs) - around,
    top: Math.min(...ys) - around,
    right: Math.max(...xs) + around,
    bottom: Math.max(...ys) + around,
  };
}
