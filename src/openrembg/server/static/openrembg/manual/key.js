// The reader's key: kept in this tab alone, shown in the examples, never sent with these pages.

import { keep, kept } from "../tab_key.js";

const PLACEHOLDER = "YOUR_API_KEY";
// What no shell and no string of an example stumbles over.
const KEY = /^[\w.~+/=-]{1,255}$/;

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const panel = /** @type {HTMLDetailsElement} */ (part("key"));
const form = /** @type {HTMLFormElement} */ (part("key-form"));
const input = /** @type {HTMLInputElement} */ (part("key-text"));
const state = part("key-state");

/**
 * Put the key where examples have its place.
 * @param {string | null} key
 */
function show(key) {
  for (const place of document.querySelectorAll(".your-key")) {
    place.textContent = key ?? PLACEHOLDER;
  }
  input.value = key ?? "";
  part("key-forget").hidden = part("key-console").hidden = key === null;
  part("key-missing").hidden = key !== null;
}

/** @param {"shown" | "gone" | "wrong"} what */
function say(what) {
  state.textContent = state.dataset[what] ?? "";
  input.toggleAttribute("aria-invalid", false);
  if (what === "wrong") input.setAttribute("aria-invalid", "true");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = input.value.trim();
  if (!KEY.test(key)) {
    say("wrong");
    input.focus();
    return;
  }
  keep(key);
  show(key);
  say("shown");
});

part("key-forget").addEventListener("click", () => {
  keep(null);
  show(null);
  say("gone");
  input.focus();
});

/**
 * Open a link in a tab that takes the key along. With Ctrl or the middle button, browsers would open
 * one that does not.
 * @param {MouseEvent} event
 */
function openWithKey(event) {
  if (event.button > 1) return;
  event.preventDefault();
  window.open(/** @type {HTMLAnchorElement} */ (event.currentTarget).href);
}

for (const link of /** @type {NodeListOf<HTMLAnchorElement>} */ (
  document.querySelectorAll("a[rel=opener]")
)) {
  link.addEventListener("click", openWithKey);
  link.addEventListener("auxclick", openWithKey);
}

const known = kept();
show(known);
if (known !== null) say("shown");
panel.hidden = false;
panel.open = matchMedia("(min-width: 66rem)").matches;
