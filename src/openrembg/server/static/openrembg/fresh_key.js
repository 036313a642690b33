// Copies a key or a command that is shown once, and hands the key to the console.

import { copy } from "./clipboard.js";
import { keep } from "./tab_key.js";

/** @param {HTMLElement} element */
const text = (element) => /** @type {string} */ (element.textContent).trim();

/**
 * Return the element that an attribute names.
 * @param {string | undefined} id
 */
const named = (id) => /** @type {HTMLElement} */ (document.getElementById(id ?? ""));

for (const actions of /** @type {NodeListOf<HTMLElement>} */ (
  document.querySelectorAll("[data-copying]")
)) {
  const button = /** @type {HTMLButtonElement} */ (actions.querySelector("[data-copy]"));
  const said = /** @type {HTMLElement} */ (actions.querySelector("[role=status]"));
  button.addEventListener("click", async () => {
    const isCopied = await copy(named(button.dataset.copy));
    said.textContent = /** @type {string} */ (
      isCopied ? said.dataset.copied : said.dataset.selected
    );
  });
  actions.hidden = false;
}

for (const link of /** @type {NodeListOf<HTMLElement>} */ (
  document.querySelectorAll("[data-console]")
)) {
  link.addEventListener("click", () => {
    keep(text(named(link.dataset.console)));
  });
}
