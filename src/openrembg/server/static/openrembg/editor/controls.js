// The form with which people say how all their pictures shall look.

import { QUALITY, keepsAlpha, writesWebp } from "./formats.js";
import { MAX_ANGLE, MAX_SIDE } from "./geometry.js";
import { openPicture, release } from "./picture.js";
import { number } from "./words.js";

/** @typedef {import("./geometry.js").Shape} Shape */
/** @typedef {import("./picture.js").Words} Words */
/** @typedef {import("./formats.js").Format} Format */

/**
 * @typedef {object} Background
 * @property {"none" | "color" | "picture" | "blur"} kind
 * @property {string} color #rrggbb
 * @property {Blob | null} picture
 * @property {number} blur 1 to 100
 */

/**
 * @typedef {object} Finish
 * @property {Background} background
 * @property {Format} format
 * @property {number} quality 1 to 100, for WebP and JPEG
 * @property {boolean} mask Show and save the matte alone.
 */

/** @typedef {Shape & Finish} Look How all pictures shall look. */

/** While somebody types, half a number is no wish. */
const TYPING_MS = 400;
const WHOLE = /^\+?\d{1,9}$/;
const DECIMAL = /^[+-]?(\d{1,9}(\.\d{0,9})?|\.\d{1,9})$/;
const FOREIGN_DIGITS = /[۰-۹٠-٩]/g;
const degrees = new Intl.NumberFormat(document.documentElement.lang, {
  maximumFractionDigits: 9,
  useGrouping: false,
});

/**
 * Return a typed number in the digits and signs that programs know.
 * @param {string} text
 */
const plain = (text) =>
  text
    .replace(FOREIGN_DIGITS, (digit) => String(digit.charCodeAt(0) & 15))
    .replace(/[\s\u200e\u200f\u061c]/g, "")
    .replace(/[٫,]/g, ".")
    .replace("−", "-");

/**
 * @param {string} text
 * @returns {number | null | undefined} null when empty, undefined when wrong
 */
function sideOf(text) {
  const digits = plain(text);
  if (!digits) return null;
  const side = WHOLE.test(digits) ? Number(digits) : 0;
  return side >= 1 && side <= MAX_SIDE ? side : undefined;
}

/**
 * @param {string} text
 * @returns {number | undefined} undefined when wrong
 */
function angleOf(text) {
  const digits = plain(text) || "0";
  const angle = DECIMAL.test(digits) ? Number(digits) : NaN;
  return Math.abs(angle) <= MAX_ANGLE ? angle : undefined;
}

/** @param {HTMLInputElement} field */
const isInvalid = (field) => field.getAttribute("aria-invalid") === "true";

/** Reads the form; keeps the last right value of each field. */
class Controls {
  /**
   * @param {HTMLFormElement} form @param {Words} words @param {(look: Look) => void} onChange
   */
  constructor(form, words, onChange) {
    this.form = form;
    this.words = words;
    this.onChange = onChange;
    /** @type {{w: number | null, h: number | null, angle: number}} */
    this.right = { w: null, h: null, angle: 0 };
    /** @type {Blob | null} */
    this.picture = null;
    /** @type {Record<Format, number>} */
    this.qualities = { ...QUALITY };
    this.typing = 0;
    this.isPressed = false;
    this.isWaiting = false;
    this.#field("angle").value = degrees.format(0);
    this.#listen();
    this.#readNumbers();
    this.#arrange();
    this.#sayWebp();
  }

  /** @returns {Look} */
  look() {
    this.#readNumbers();
    const { w, h, angle } = this.right;
    const format = this.#format();
    return {
      background: this.#background(),
      w,
      h,
      exact: this.#isChecked("exact") && w !== null && h !== null,
      angle,
      expand: this.#isChecked("expand"),
      format,
      quality: this.qualities[format],
      mask: this.#isChecked("mask"),
    };
  }

  /** Return whether every number is right; else go to the first that is not. */
  check() {
    this.#readNumbers();
    const wrong = ["w", "h", "angle"].map((name) => this.#field(name)).find(isInvalid);
    wrong?.focus();
    return !wrong;
  }

  #listen() {
    addEventListener("pointerdown", (event) => this.#press(event), true);
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => this.#letGo(), true);
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => this.#onInput(event));
    this.form.addEventListener("change", (event) => this.#onTyped(event));
    this.form.addEventListener("click", (event) => this.#onClick(event));
    for (const swatch of this.#swatches()) {
      swatch.style.backgroundColor = /** @type {string} */ (swatch.dataset.color);
    }
  }

  /** @param {PointerEvent} event */
  #press({ target }) {
    this.isPressed = target instanceof Element && target.closest("button") !== null;
  }

  #letGo() {
    this.isPressed = false;
    // The click comes first.
    setTimeout(() => this.isWaiting && this.#changed());
  }

  /** @param {Event} event */
  #onInput({ target }) {
    const field = /** @type {HTMLInputElement} */ (target);
    if (field.type === "file") return;
    if (field.name === "quality") this.qualities[this.#format()] = field.valueAsNumber;
    clearTimeout(this.typing);
    if (field.type === "text") {
      this.typing = setTimeout(() => this.#changed(), TYPING_MS);
      return;
    }
    this.#changed();
  }

  /** @param {Event} event */
  #onTyped({ target }) {
    const field = /** @type {HTMLInputElement} */ (target);
    if (field.type === "file") this.#choosePicture(field);
    if (field.type === "text") this.#changed();
  }

  /** @param {Event} event */
  #onClick({ target }) {
    const button = /** @type {HTMLElement} */ (target).closest("button");
    if (button?.dataset.color) this.#field("color").value = button.dataset.color;
    if (button?.dataset.turn) this.#turn(Number(button.dataset.turn));
    if (button) this.#changed();
  }

  /** @param {number} by */
  #turn(by) {
    const turned = this.right.angle + by;
    const angle = turned > 180 ? turned - 360 : turned <= -180 ? turned + 360 : turned;
    this.#field("angle").value = degrees.format(angle);
  }

  /** @param {HTMLInputElement} field */
  async #choosePicture(field) {
    const [file] = field.files ?? [];
    if (!file) return;
    const isPicture = await openPicture(file).then(release).then(() => true, () => false);
    this.#tell("picture", isPicture ? "" : "wrong_picture");
    if (!isPicture) return;
    this.picture = file;
    this.#part("picture-name").textContent = file.name;
    this.#changed();
  }

  /** A button must not move away from under the pointer that presses it. */
  #changed() {
    clearTimeout(this.typing);
    this.isWaiting = this.isPressed;
    if (this.isPressed) return;
    this.#readNumbers();
    this.#arrange();
    this.onChange(this.look());
  }

  #readNumbers() {
    const { w, h, angle } = this.right;
    this.right = {
      w: this.#read("w", sideOf, w),
      h: this.#read("h", sideOf, h),
      angle: this.#read("angle", angleOf, angle),
    };
  }

  /**
   * Return the number in a field, or the last right one.
   * @template T
   * @param {string} name @param {(text: string) => T | undefined} read @param {T} last
   */
  #read(name, read, last) {
    const value = read(this.#field(name).value);
    this.#tell(name, value === undefined ? `wrong_${name}` : "");
    return value === undefined ? last : value;
  }

  /**
   * Say beside a field what is wrong with it.
   * @param {string} name @param {string} word Empty when all is well.
   */
  #tell(name, word) {
    const place = /** @type {HTMLElement} */ (this.form.querySelector(`#look-${name}-error`));
    const said = word && this.words[word];
    this.#field(name).setAttribute("aria-invalid", String(Boolean(word)));
    place.hidden = !word;
    if (place.textContent !== said) place.textContent = said;
  }

  /** Show what goes with the choices that were made. */
  #arrange() {
    const { w, h, angle } = this.right;
    const format = this.#format();
    const kind = this.#choice("background");
    const isMask = this.#isChecked("mask");
    const hasQuality = format === "jpeg" || (format === "webp" && !isMask);
    for (const more of this.form.querySelectorAll("[data-for]")) {
      /** @type {HTMLElement} */ (more).hidden = /** @type {HTMLElement} */ (more).dataset.for !== kind;
    }
    /** @type {HTMLFieldSetElement} */ (this.#part("background")).disabled = isMask;
    this.#field("exact").disabled = w === null || h === null;
    this.#field("expand").disabled = angle % 180 === 0;
    this.#part("quality").hidden = !hasQuality;
    this.#field("quality").value = String(this.qualities[format]);
    this.#part("quality-shown").textContent = number(this.qualities[format]);
    this.#part("opaque").hidden = keepsAlpha(format) || isMask || this.#background().kind !== "none";
    this.#markSwatch();
  }

  #markSwatch() {
    const { value } = this.#field("color");
    for (const swatch of this.#swatches()) {
      swatch.setAttribute("aria-pressed", String(swatch.dataset.color === value));
    }
  }

  async #sayWebp() {
    const isAble = await writesWebp();
    const say = () => (this.#part("no-webp").hidden = isAble || this.#format() !== "webp");
    this.form.addEventListener("change", say);
    say();
  }

  /** @returns {Background} */
  #background() {
    const kind = /** @type {Background["kind"]} */ (this.#choice("background"));
    const isMissing = kind === "picture" && !this.picture;
    return {
      kind: isMissing ? "none" : kind,
      color: this.#field("color").value,
      picture: this.picture,
      blur: this.#field("blur").valueAsNumber,
    };
  }

  #format() {
    return /** @type {Format} */ (this.#field("format").value);
  }

  /** @param {string} name */
  #choice(name) {
    return /** @type {RadioNodeList} */ (this.form.elements.namedItem(name)).value;
  }

  /** @param {string} name */
  #isChecked(name) {
    return this.#field(name).checked;
  }

  /** @param {string} name */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.form.elements.namedItem(name));
  }

  /** @param {string} name */
  #part(name) {
    return /** @type {HTMLElement} */ (this.form.querySelector(`[data-part="${name}"]`));
  }

  #swatches() {
    return /** @type {NodeListOf<HTMLElement>} */ (this.form.querySelectorAll("[data-color]"));
  }
}

/**
 * Let the form be used.
 * @param {HTMLFormElement} form See templates/editor/controls.html.
 * @param {Words} words
 * @param {(look: Look) => void} onChange Called after every change that counts.
 */
export const createControls = (form, words, onChange) => new Controls(form, words, onChange);
