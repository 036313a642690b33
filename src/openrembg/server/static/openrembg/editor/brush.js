// From mouse, finger, pen and keys to the points of a stroke.

/** @typedef {import("./strokes.js").Point} Point */

/** @typedef {"restore" | "erase"} Tool */

/** The brush on the screen, in CSS pixels: at the slider's left end, and for each step of it. */
const LEAST_PIXELS = 4;
const STEP_PIXELS = 1.6;
/** How much the keys [ and ] change of the slider. */
const KEY_STEP = 8;
/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * @typedef {object} BrushParts
 * @property {HTMLElement} view Scrolls, and has the focus while somebody paints.
 * @property {HTMLElement} frame What is as large as the picture.
 * @property {HTMLElement} cursor
 * @property {HTMLInputElement} size
 */

/**
 * What happens; points are fractions of the frame's width and height.
 * @typedef {object} BrushEvents
 * @property {() => boolean} begin A stroke begins; false when it may not.
 * @property {(points: Point[]) => void} extend
 * @property {() => void} end
 * @property {() => void} cancel The stroke was none: two fingers move the picture.
 * @property {(isDown: boolean) => void} lower The space bar lowered or lifted the brush.
 */

export class Brush {
  /** @type {Map<number, Point>} */
  #pointers = new Map();
  #isDown = false;
  #isOn = false;
  /** Where the keys have moved the brush, as fractions.
   * @type {Point} */
  #place = [0.5, 0.5];

  /** @param {BrushParts} parts @param {BrushEvents} events */
  constructor(parts, events) {
    this.parts = parts;
    this.events = events;
    const { view, frame, size } = parts;
    frame.addEventListener("pointerdown", (event) => this.#press(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    frame.addEventListener("pointerup", (event) => this.#lift(event));
    frame.addEventListener("pointercancel", (event) => this.#lift(event));
    frame.addEventListener("pointerleave", () => this.#hideCursor());
    view.addEventListener("keydown", (event) => this.#key(event));
    size.addEventListener("input", () => this.#showCursor());
  }

  /** The brush's diameter in CSS pixels. */
  get diameter() {
    return LEAST_PIXELS + this.parts.size.valueAsNumber * STEP_PIXELS;
  }

  /** @param {boolean} isOn */
  use(isOn) {
    if (!isOn && this.#isDown) this.#finish();
    this.#isOn = isOn;
    this.#pointers.clear();
    if (!isOn) this.#hideCursor();
  }

  /** Let go of a stroke that is being drawn. */
  drop() {
    this.#pointers.clear();
    this.#abandon();
  }

  /** @param {1 | -1} direction */
  resize(direction) {
    const { size } = this.parts;
    size.value = String(size.valueAsNumber + direction * KEY_STEP);
    this.#showCursor();
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (!this.#isOn || event.button !== 0) return;
    const { frame, view } = this.parts;
    view.focus({ preventScroll: true });
    event.preventDefault();
    frame.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.#pointers.size > 1) {
      this.#abandon();
      return;
    }
    this.#place = this.#fraction(event);
    this.#isDown = this.events.begin();
    if (this.#isDown) this.events.extend([this.#place]);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.#isOn) return;
    if (this.#pointers.size > 1) {
      this.#pan(event);
      return;
    }
    this.#place = this.#fraction(event);
    this.#showCursor();
    if (!this.#isDown || !this.#pointers.has(event.pointerId)) return;
    const all = event.getCoalescedEvents?.() ?? [];
    this.events.extend((all.length ? all : [event]).map((each) => this.#fraction(each)));
  }

  /** @param {PointerEvent} event */
  #lift(event) {
    const wasHeld = this.#pointers.delete(event.pointerId);
    if (!wasHeld || !this.#isDown) return;
    if (event.type === "pointercancel") this.#abandon();
    else this.#finish();
  }

  #finish() {
    this.#isDown = false;
    this.events.end();
  }

  #abandon() {
    if (this.#isDown) this.events.cancel();
    this.#isDown = false;
    this.#hideCursor();
  }

  /**
   * Two fingers move the picture.
   * @param {PointerEvent} event
   */
  #pan(event) {
    const last = this.#pointers.get(event.pointerId);
    if (!last) return;
    const share = this.#pointers.size;
    this.parts.view.scrollBy((last[0] - event.clientX) / share, (last[1] - event.clientY) / share);
    this.#pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!this.#isOn || event.target !== this.parts.view) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") this.#lower();
    else if (event.key in ARROWS) this.#step(ARROWS[event.key], event.shiftKey);
    else return;
    event.preventDefault();
  }

  /** Lower the brush, or lift it. */
  #lower() {
    this.#showCursor();
    if (this.#isDown) {
      this.#finish();
      this.events.lower(false);
      return;
    }
    this.#isDown = this.events.begin();
    if (!this.#isDown) return;
    this.events.extend([this.#place]);
    this.events.lower(true);
  }

  /**
   * @param {Point} direction @param {boolean} isSmall By one pixel, else by a quarter of the brush.
   */
  #step([x, y], isSmall) {
    const { width, height } = this.parts.frame.getBoundingClientRect();
    const pixels = isSmall ? 1 : Math.max(2, this.diameter / 4);
    this.#place = [
      Math.min(1, Math.max(0, this.#place[0] + (x * pixels) / width)),
      Math.min(1, Math.max(0, this.#place[1] + (y * pixels) / height)),
    ];
    this.#showCursor();
    this.parts.cursor.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (this.#isDown) this.events.extend([this.#place]);
  }

  /**
   * @param {PointerEvent} event
   * @returns {Point}
   */
  #fraction({ clientX, clientY }) {
    const { left, top, width, height } = this.parts.frame.getBoundingClientRect();
    return [(clientX - left) / width, (clientY - top) / height];
  }

  #showCursor() {
    const { cursor, frame } = this.parts;
    if (!this.#isOn) return;
    const [x, y] = this.#place;
    const pixels = `${this.diameter}px`;
    cursor.hidden = false;
    cursor.style.inlineSize = pixels;
    cursor.style.blockSize = pixels;
    cursor.style.transform = `translate(${x * frame.clientWidth - this.diameter / 2}px, ${y * frame.clientHeight - this.diameter / 2}px)`;
  }

  #hideCursor() {
    if (!this.#isDown) this.parts.cursor.hidden = true;
  }
}
