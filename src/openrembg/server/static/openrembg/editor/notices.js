// Why the pictures wait, or do not go on, with the way out of it.

import { number, say } from "./words.js";

/** @typedef {import("./queue.js").Halt} Halt */

/**
 * Say why nothing is sent now, and return it once: a screen reader shall not hear each second.
 * @param {HTMLElement} place @param {Halt | null} halt null: it goes on
 * @param {() => void} resume what the button "Try again" does
 * @returns {string} an empty text for what was said before
 */
export function tell(place, halt, resume) {
  const reason = halt?.reason ?? "";
  const isNews = place.dataset.reason !== reason;
  if (isNews) {
    place.dataset.reason = reason;
    place.replaceChildren(...(halt === null ? [] : [partFor(halt)]));
    place.querySelector("[data-resume]")?.addEventListener("click", resume);
  }
  if (halt?.kind === "pause") countDown(place, halt);
  return isNews ? (place.querySelector("p")?.textContent ?? "") : "";
}

/** @param {Halt} halt */
function partFor(halt) {
  const name = halt.kind === "pause" ? "pause" : halt.reason;
  const found = document.querySelector(`template[data-halt="${name}"]`);
  return /** @type {HTMLTemplateElement} */ (found).content.cloneNode(true);
}

/** @param {HTMLElement} place @param {Halt & {kind: "pause"}} halt */
function countDown(place, { reason, until }) {
  const seconds = number(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
  const text = place.querySelector("p");
  if (text === null) return;
  text.textContent = say(reason, { seconds });
}
