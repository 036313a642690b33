// The list of pictures: what each of them is doing, what became of it, and its buttons.

import { paint } from "./thumbnails.js";
import { percent, say } from "./words.js";

/** @typedef {import("./item.js").Item} Item */

/**
 * What a reader can do with a picture.
 * @typedef {object} Doing
 * @property {(item: Item) => void} show
 * @property {(item: Item) => void} again
 * @property {(item: Item) => void} remove
 */

/** @type {Record<import("./item.js").Charged, string>} the sentences about what it cost */
const DONE = {
  credit: "done_credit",
  today: "done_today",
  paid: "done_paid",
  nothing: "nothing",
  "": "done",
};

/**
 * Return the server's own sentence, where it says more than ours.
 * @param {Item} item
 */
function englishOf({ error }) {
  const isSame = document.documentElement.lang === "en" && error?.word !== "refused";
  return (!isSame && error?.english) || "";
}

/**
 * Return what is said of a picture now.
 * @param {Item} item
 */
export function stateOf(item) {
  if (item.state === "uploading") return say("uploading", { percent: percent(item.progress) });
  if (item.state === "done") return say(DONE[item.charged]);
  return item.error ? say(item.error.word, item.error.values) : say(item.state);
}

export class List {
  /** @type {Map<Item, HTMLLIElement>} */
  #lines = new Map();

  /**
   * @param {HTMLOListElement} root @param {HTMLTemplateElement} template of one picture
   * @param {Doing} doing
   */
  constructor(root, template, doing) {
    this.root = root;
    this.template = template;
    this.doing = doing;
  }

  /**
   * Show a picture at the end of the list.
   * @param {Item} item
   */
  add(item) {
    const copy = /** @type {DocumentFragment} */ (this.template.content.cloneNode(true));
    const line = /** @type {HTMLLIElement} */ (copy.firstElementChild);
    part(line, ".name").textContent = item.name;
    this.#button(line, ".open", "show", item);
    this.#button(line, ".again", "again", item);
    this.#button(line, ".remove", "remove", item);
    part(line, "progress").setAttribute("aria-label", say("progress", { name: item.name }));
    this.#lines.set(item, line);
    this.root.append(line);
    this.update(item);
    paint(canvasOf(line), item.file);
  }

  /**
   * Show what has become of a picture.
   * @param {Item} item
   */
  update(item) {
    const line = this.#lines.get(item);
    if (line === undefined) return;
    const isNews = line.dataset.state !== item.state;
    line.dataset.state = item.state;
    part(line, ".state").textContent = stateOf(item);
    const bar = /** @type {HTMLProgressElement} */ (part(line, "progress"));
    bar.hidden = item.state !== "uploading" && item.state !== "working";
    if (item.state === "working") bar.removeAttribute("value");
    else bar.value = item.progress;
    if (isNews) this.#renew(line, item);
  }

  /**
   * Take a picture off; the reader goes on at the next one.
   * @param {Item} item
   */
  remove(item) {
    const line = this.#lines.get(item);
    const next = line?.nextElementSibling ?? line?.previousElementSibling;
    const had = line?.contains(document.activeElement);
    line?.remove();
    this.#lines.delete(item);
    if (had) /** @type {HTMLElement | null} */ (next?.querySelector(".remove"))?.focus();
  }

  /**
   * Mark the picture that is on the stage.
   * @param {Item | null} item
   */
  mark(item) {
    for (const [other, line] of this.#lines) {
      if (other === item) part(line, ".open").setAttribute("aria-current", "true");
      else part(line, ".open").removeAttribute("aria-current");
    }
  }

  /** @param {HTMLLIElement} line @param {Item} item */
  #renew(line, item) {
    const open = /** @type {HTMLButtonElement} */ (part(line, ".open"));
    open.disabled = item.state !== "done";
    part(line, ".again").hidden = !item.error?.again;
    const english = part(line, ".english");
    english.textContent = englishOf(item);
    english.hidden = !english.textContent;
    if (item.cutout && item.detected) {
      part(line, ".thumb").classList.add("checker");
      paint(canvasOf(line), item.cutout);
    }
  }

  /**
   * @param {HTMLLIElement} line @param {string} selector
   * @param {keyof Doing} deed @param {Item} item
   */
  #button(line, selector, deed, item) {
    const button = part(line, selector);
    // The name of the opening button is what stands in it.
    if (deed !== "show") button.setAttribute("aria-label", say(deed, { name: item.name }));
    button.addEventListener("click", () => this.doing[deed](item));
  }
}

/** @param {Element} line @param {string} selector */
const part = (line, selector) => /** @type {HTMLElement} */ (line.querySelector(selector));

/** @param {Element} line */
const canvasOf = (line) => /** @type {HTMLCanvasElement} */ (line.querySelector("canvas"));
