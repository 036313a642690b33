// What is on the stage: one picture before and after, its mask, and a brush to mend it.

import { Brush } from "./brush.js";
import { createCompare } from "./compare.js";
import { compose, composeMask, composeOriginal, groundOf, mapTo } from "./compose.js";
import { origin, placed, stretch } from "./geometry.js";
import { Opened } from "./opened.js";
import { clearCanvas, isSmall, openPicture, penOf, release, resampled, sizeOf } from "./picture.js";
import { filled, number } from "./words.js";

/** @typedef {import("./brush.js").Tool} Tool */
/** @typedef {import("./controls.js").Look} Look */
/** @typedef {import("./geometry.js").Matrix} Matrix */
/** @typedef {import("./geometry.js").Size} Size */
/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./opened.js").Box} Box */
/** @typedef {import("./picture.js").Words} Words */
/** @typedef {import("./strokes.js").Point} Point */
/** @typedef {import("./strokes.js").Stroke} Stroke */

/** The most pixels of one canvas here; there are up to six. */
const MOST_PIXELS = isSmall ? 4e6 : 16e6;
/** A small picture is shown larger, but no more than so many times. */
const MOST_ENLARGED = 2;
/** What is said of each. */
const DONE = { undo: "undone", redo: "redone", reset: "reset" };
/** A background's longer side on the stage. */
const MOST_BACKGROUND = 2048;

export class Scene {
  /** @type {Opened | null} */
  #opened = null;
  /** @type {Look | null} */
  #look = null;
  /** @type {Tool | null} */
  #tool = null;
  /** @type {{blob: Blob, image: HTMLCanvasElement} | null} */
  #picture = null;
  /** @type {{key: unknown[], canvas: HTMLCanvasElement | null}} */
  #ground = { key: [], canvas: null };
  /** @type {Stroke | null} */
  #stroke = null;
  #calls = 0;
  #frameRequest = 0;

  /**
   * @param {HTMLElement} root @param {Words} words @param {(item: Item) => void} onEdit
   */
  constructor(root, words, onEdit) {
    this.root = root;
    this.words = words;
    this.onEdit = onEdit;
    /** @type {Record<string, HTMLElement>} */
    this.parts = {};
    for (const part of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll("[data-part]"))) {
      this.parts[/** @type {string} */ (part.dataset.part)] = part;
    }
    this.after = /** @type {HTMLCanvasElement} */ (this.parts.after);
    this.before = /** @type {HTMLCanvasElement} */ (this.parts.before);
    this.compare = createCompare(/** @type {any} */ (this.parts), words.share);
    this.brush = this.#createBrush();
    this.#listen();
    this.#arrange();
  }

  /**
   * Show a picture, or the same one with another look.
   * @param {Item} item One with a cut-out.
   * @param {Look} look
   */
  async show(item, look) {
    const call = ++this.#calls;
    this.#look = look;
    const isSame = this.#opened?.item === item && this.#opened.file === item.cutout;
    if (!isSame) this.#wait();
    const [opened, picture] = await Promise.all([isSame ? this.#opened : this.#open(item), this.#openPicture(look)]);
    if (call !== this.#calls) return;
    this.#picture = picture;
    if (!isSame) this.#take(opened);
    this.#draw();
  }

  /** Show nothing. */
  clear() {
    this.#calls++;
    this.#take(null);
    this.#say("message", "");
    this.parts.empty.hidden = false;
  }

  #createBrush() {
    const { view, frame, cursor } = this.parts;
    const size = /** @type {HTMLInputElement} */ (this.parts["brush-size"]);
    return new Brush(
      { view, frame, cursor, size },
      {
        begin: () => this.#beginStroke(),
        extend: (points) => this.#extendStroke(points),
        end: () => this.#endStroke(),
        cancel: () => this.#cancelStroke(),
        lower: (isDown) => this.#tell(isDown ? "brush_down" : "brush_up"),
      },
    );
  }

  #listen() {
    this.root.addEventListener("change", (event) => this.#onChoice(event));
    this.root.addEventListener("click", (event) => this.#onClick(event));
    document.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => this.#later()).observe(this.parts.view);
  }

  // What is shown

  /** @param {Item} item @returns {Promise<Opened | null>} */
  async #open(item) {
    try {
      return await Opened.of(item, (size) => this.#fineness(size), MOST_PIXELS);
    } catch {
      return null;
    }
  }

  /** @param {Look} look */
  async #openPicture({ background: { kind, picture } }) {
    if (kind !== "picture" || !picture) return null;
    if (this.#picture?.blob === picture) return this.#picture;
    return { blob: picture, image: await previewOf(picture) };
  }

  #wait() {
    this.parts.view.setAttribute("aria-busy", "true");
    this.parts.opening.hidden = this.#opened !== null;
    this.parts.empty.hidden = true;
    this.#say("message", "");
  }

  /** @param {Opened | null} opened */
  #take(opened) {
    this.brush.drop();
    this.#opened?.close();
    this.#opened = opened;
    this.parts.view.removeAttribute("aria-busy");
    this.parts.opening.hidden = true;
    this.parts.frame.hidden = !opened;
    this.parts.facts.textContent = "";
    this.#say("message", opened ? remark(opened) : "no_cutout");
    if (!opened) this.#choose(null);
    this.#arrange();
  }

  /** Draw once before the next frame, whatever happens until then. */
  #later() {
    if (this.#frameRequest) return;
    this.#frameRequest = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.#frameRequest);
    this.#frameRequest = 0;
    const [opened, look] = [this.#opened, this.#look];
    if (!opened || !look || this.#stroke || !this.parts.view.clientWidth) return;
    const { size: output } = placed(...opened.size, look);
    const shown = this.#shownSize(output);
    const pixels = pixelSize(output, shown);
    this.parts.frame.style.inlineSize = `${shown[0]}px`;
    this.parts.frame.style.blockSize = `${shown[1]}px`;
    this.#drawAfter(clearCanvas(...pixels, this.after));
    this.#drawBefore(pixels);
    this.#sayFacts(output);
    opened.sharpen((size) => this.#fineness(size)).then((isSharper) => isSharper && this.#later());
  }

  /**
   * Return how many pixels of the canvas there are for one of the picture.
   * @param {Size} size The picture's.
   */
  #fineness(size) {
    const { size: output, matrix } = placed(...size, /** @type {Look} */ (this.#look));
    const [width] = pixelSize(output, this.#shownSize(output));
    return Math.max(...stretch(matrix)) * (width / output[0]);
  }

  /** @param {CanvasRenderingContext2D} context */
  #drawAfter(context) {
    const { layers } = /** @type {Opened} */ (this.#opened);
    const look = /** @type {Look} */ (this.#look);
    if (look.mask || this.#view() === "mask") composeMask(context, layers, look);
    else compose(context, layers, look, this.#groundFor([context.canvas.width, context.canvas.height]));
  }

  /** @param {Size} pixels */
  #drawBefore(pixels) {
    const opened = /** @type {Opened} */ (this.#opened);
    const isWanted = this.#view() === "compare" && opened.hasOriginal;
    this.compare.use(isWanted);
    if (!isWanted) release(this.before);
    else composeOriginal(clearCanvas(...pixels, this.before), opened.layers, /** @type {Look} */ (this.#look));
  }

  /**
   * Return what lies behind; while somebody paints, as it was before.
   * @param {Size} size
   */
  #groundFor(size) {
    const opened = /** @type {Opened} */ (this.#opened);
    const look = /** @type {Look} */ (this.#look);
    const { kind, blur } = look.background;
    const own = kind === "blur" ? [opened, opened.scale, blur, opened.strokes.length, opened.strokes.at(-1)] : [...size, this.#picture];
    const key = [kind, ...own];
    if (key.every((part, index) => part === this.#ground.key[index])) return this.#ground.canvas;
    release(this.#ground.canvas);
    this.#ground = { key, canvas: groundOf(look, opened.layers, this.#picture?.image ?? null, size) };
    return this.#ground.canvas;
  }

  /**
   * Return the size on the screen, in CSS pixels.
   * @param {Size} output
   * @returns {Size}
   */
  #shownSize([width, height]) {
    const zoom = this.#radio("stage-zoom");
    if (zoom !== "fit") return [width * Number(zoom), height * Number(zoom)];
    const { clientWidth, clientHeight } = this.parts.view;
    const scale = Math.min(clientWidth / width, clientHeight / height, MOST_ENLARGED);
    return [Math.max(1, Math.floor(width * scale)), Math.max(1, Math.floor(height * scale))];
  }

  /** @param {Size} output */
  #sayFacts([width, height]) {
    const values = { width: number(width), height: number(height) };
    const facts = filled(this.words.size, values);
    if (this.parts.facts.textContent !== facts) this.parts.facts.textContent = facts;
  }

  // The brush

  #beginStroke() {
    if (!this.#opened || !this.#tool) return false;
    const soft = /** @type {HTMLInputElement} */ (this.parts["brush-soft"]).checked;
    const size = this.brush.diameter / this.#screenScale();
    this.#stroke = { tool: this.#tool, size, soft, points: [] };
    this.#opened.begin(this.#stroke);
    return true;
  }

  /** @param {Point[]} fractions */
  #extendStroke(fractions) {
    const [opened, stroke] = [this.#opened, this.#stroke];
    if (!opened || !stroke) return;
    for (const fraction of fractions) {
      if (!addPoint(stroke, this.#toPicture(fraction))) continue;
      this.#redraw(opened.extend());
    }
  }

  #endStroke() {
    if (!this.#stroke || !this.#opened) return;
    this.#stroke = null;
    this.#opened.end();
    this.#edited();
  }

  #cancelStroke() {
    if (!this.#stroke || !this.#opened) return;
    this.#stroke = null;
    this.#opened.cancel();
    this.#draw();
  }

  #edited() {
    const { item } = /** @type {Opened} */ (this.#opened);
    this.#draw();
    this.#arrange();
    this.onEdit(item);
  }

  /**
   * Draw a part of the picture anew.
   * @param {Box} box
   */
  #redraw(box) {
    const context = penOf(this.after);
    context.save();
    context.beginPath();
    context.rect(...around(box, this.#toScreen()));
    context.clip();
    this.#drawAfter(context);
    context.restore();
  }

  /** @returns {Matrix} From the picture's pixels to those of the canvas. */
  #toScreen() {
    return mapTo(this.after, /** @type {Opened} */ (this.#opened).size, /** @type {Look} */ (this.#look));
  }

  /** @param {Point} fraction @returns {Point} */
  #toPicture([x, y]) {
    return origin(this.#toScreen(), x * this.after.width, y * this.after.height);
  }

  /** Return how many CSS pixels a pixel of the picture takes. */
  #screenScale() {
    const [across, down] = stretch(this.#toScreen());
    return Math.sqrt(across * down) * (this.parts.frame.clientWidth / this.after.width);
  }

  // What people choose

  /** @param {Event} event */
  #onChoice({ target }) {
    const { name, value } = /** @type {HTMLInputElement} */ (target);
    if (name === "stage-view" && value === "compare") this.#choose(null);
    if (name === "stage-view" || name === "stage-zoom") this.#draw();
  }

  /** @param {Event} event */
  #onClick({ target }) {
    const button = /** @type {HTMLElement} */ (target).closest("button");
    if (button?.dataset.tool) this.#toggle(/** @type {Tool} */ (button.dataset.tool));
    if (button?.dataset.do) this.#do(/** @type {keyof typeof DONE} */ (button.dataset.do));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (!this.#opened || isWritten(event.target) || document.querySelector("dialog[open]")) return;
    const done = event.ctrlKey || event.metaKey ? this.#onCommand(event) : this.#onLetter(event);
    if (done) event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  #onCommand(event) {
    const letter = letterOf(event);
    if (letter === "z") return this.#do(event.shiftKey ? "redo" : "undo");
    return letter === "y" && this.#do("redo");
  }

  /** @param {KeyboardEvent} event */
  #onLetter(event) {
    const letter = letterOf(event);
    if (event.altKey) return false;
    if (letter === "b") return this.#pick("restore");
    if (letter === "e") return this.#pick("erase");
    if (event.key === "Escape" && this.#tool) return this.#toggle(this.#tool);
    if (!this.#tool || !["[", "]"].includes(event.key)) return false;
    this.brush.resize(event.key === "]" ? 1 : -1);
    return true;
  }

  /**
   * Take a tool by its key; the keys that move it are the view's.
   * @param {Tool} tool
   */
  #pick(tool) {
    const isTaken = this.#toggle(tool);
    if (isTaken) this.parts.view.focus();
    return isTaken;
  }

  /**
   * Take a tool, or put it away if it was taken.
   * @param {Tool} tool
   */
  #toggle(tool) {
    if (!this.#opened || /** @type {HTMLButtonElement} */ (this.#button(tool)).disabled) return false;
    this.#choose(this.#tool === tool ? null : tool);
    this.#tell(this.#tool ? `${this.#tool}_on` : "brush_off");
    this.#draw();
    return true;
  }

  /** @param {Tool | null} tool */
  #choose(tool) {
    this.#tool = tool;
    if (tool && this.#view() === "compare") this.#check("stage-view", "result");
    for (const each of ["restore", "erase"]) {
      this.#button(each).setAttribute("aria-pressed", String(each === tool));
    }
    this.parts.brush.hidden = !tool;
    this.parts.view.dataset.brush = tool ?? "";
    this.brush.use(tool !== null);
  }

  /**
   * @param {keyof typeof DONE} what
   */
  #do(what) {
    const opened = this.#opened;
    if (!opened || this.#stroke) return false;
    if (!opened[what]()) return false;
    this.#tell(DONE[what]);
    this.#edited();
    return true;
  }

  /** Let only those buttons be pressed that do something. */
  #arrange() {
    const opened = this.#opened;
    this.#enable("restore", Boolean(opened?.hasOriginal));
    this.#enable("erase", Boolean(opened));
    this.#enable("undo", Boolean(opened?.strokes.length));
    this.#enable("redo", Boolean(opened?.canRedo));
    this.#enable("reset", Boolean(opened?.hasStrokes));
    if (this.#tool === "restore" && !opened?.hasOriginal) this.#choose(null);
  }

  /** @param {string} name @param {boolean} isEnabled */
  #enable(name, isEnabled) {
    const button = this.#button(name);
    // The focus must not be lost with the button that had it.
    if (!isEnabled && document.activeElement === button) this.parts.view.focus({ preventScroll: true });
    button.disabled = !isEnabled;
  }

  /** @param {string} name */
  #button(name) {
    const selector = `[data-tool="${name}"], [data-do="${name}"]`;
    return /** @type {HTMLButtonElement} */ (this.root.querySelector(selector));
  }

  #view() {
    return this.#radio("stage-view");
  }

  /** @param {string} name */
  #radio(name) {
    return /** @type {HTMLInputElement} */ (this.root.querySelector(`[name="${name}"]:checked`)).value;
  }

  /** @param {string} name @param {string} value */
  #check(name, value) {
    /** @type {HTMLInputElement} */ (this.root.querySelector(`[name="${name}"][value="${value}"]`)).checked = true;
  }

  /** @param {string} word Is read out. */
  #tell(word) {
    this.parts.status.textContent = this.words[word];
  }

  /** @param {string} part @param {string} word Empty to say nothing. */
  #say(part, word) {
    this.parts[part].hidden = !word;
    this.parts[part].textContent = word && this.words[word];
  }
}

/**
 * Open a background, no finer than the stage shows it.
 * @param {Blob} file
 */
async function previewOf(file) {
  const picture = await openPicture(file);
  const [width, height] = sizeOf(picture);
  const scale = Math.min(1, MOST_BACKGROUND / Math.max(width, height));
  const small = resampled(picture, Math.ceil(width * scale), Math.ceil(height * scale));
  release(picture);
  return small;
}

/**
 * Return the name of the sentence that goes with a picture, if one does.
 * @param {Opened} opened
 */
function remark({ item, hasOriginal }) {
  if (!hasOriginal) return "no_original";
  return item.detected ? "" : "nothing";
}

/**
 * Return how many pixels the canvas has: as many as the screen shows, but no more than the output.
 * @param {Size} output @param {Size} shown
 * @returns {Size}
 */
function pixelSize([width, height], [wide]) {
  const most = Math.sqrt(MOST_PIXELS / (width * height));
  const scale = Math.min(1, (wide * devicePixelRatio) / width, most);
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/**
 * Add a point to a stroke, unless it hardly differs from the last one.
 * @param {Stroke} stroke @param {Point} point
 * @returns {boolean} Whether it was added.
 */
function addPoint({ points, size }, [x, y]) {
  const last = points.at(-1);
  if (last && Math.hypot(x - last[0], y - last[1]) < size / 40) return false;
  points.push([x, y]);
  return true;
}

/**
 * Return the upright rectangle around a box, in whole pixels.
 * @param {Box} box @param {Matrix} matrix
 * @returns {[x: number, y: number, width: number, height: number]}
 */
function around({ left, top, right, bottom }, [a, b, c, d, e, f]) {
  const corners = [left, right].flatMap((x) => [top, bottom].map((y) => [x, y]));
  const xs = corners.map(([x, y]) => a * x + c * y + e);
  const ys = corners.map(([x, y]) => b * x + d * y + f);
  const [x, y] = [Math.floor(Math.min(...xs)) - 2, Math.floor(Math.min(...ys)) - 2];
  return [x, y, Math.ceil(Math.max(...xs)) + 2 - x, Math.ceil(Math.max(...ys)) + 2 - y];
}

/**
 * Return whether keys write or choose something there.
 * @param {EventTarget | null} target
 */
const isWritten = (target) =>
  target instanceof Element && target.matches("input:not([type=range], [type=radio], [type=checkbox]), select, textarea");

/**
 * Return the Latin letter on a key, whatever alphabet the keyboard writes.
 * @param {KeyboardEvent} event
 */
function letterOf({ key, code }) {
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return code.startsWith("Key") ? code.slice(3).toLowerCase() : "";
}
