// Puts a button on each example that copies it. Without JavaScript the button stays hidden.

import { copy } from "../clipboard.js";

const DONE_MS = 2000;

const told = /** @type {HTMLElement} */ (document.getElementById("copied"));

/** @param {HTMLButtonElement} button */
function install(button) {
  const code = /** @type {HTMLElement} */ (button.closest(".example")?.querySelector("code"));
  const label = button.textContent;
  let timer = 0;
  button.addEventListener("click", async () => {
    const text = (await copy(code)) ? button.dataset.done : button.dataset.failed;
    button.textContent = told.textContent = text ?? "";
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      button.textContent = label;
      told.textContent = "";
    }, DONE_MS);
  });
  button.hidden = false;
}

document.querySelectorAll("button.copy").forEach((button) => {
  install(/** @type {HTMLButtonElement} */ (button));
});
