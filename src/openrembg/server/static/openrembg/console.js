// The interactive console: Swagger UI over this server's own description, and nothing else. The key
// that the reader entered in the documentation is sent along, and what is said above the forms
// follows Swagger UI's own Authorize and Logout.

import { keep, kept } from "./tab_key.js";

const SCHEME = "apiKey";
const SHOWN_CHARS = 4;

/** @param {string} id */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/**
 * Say whether requests are sent with a key, without showing all of it.
 * @param {string | null} key
 */
function say(key) {
  part("without-key").hidden = key !== null;
  part("with-key").hidden = key === null;
  part("key-end").textContent = key === null ? "" : `…${key.slice(-SHOWN_CHARS)}`;
}

/**
 * Return the key that Swagger UI sends, wherever it came from.
 * @returns {string | null}
 */
const sent = () => swagger.authSelectors.authorized().getIn([SCHEME, "value"]) ?? null;

/** @type {string | null} */
let told = null;

/** Follow what Swagger UI does; a key that it forgets is forgotten here too. */
function follow() {
  const key = sent();
  if (key === told) return;
  if (key === null) keep(null);
  told = key;
  say(key);
}

function useKey() {
  swagger.getStore().subscribe(follow);
  const key = kept();
  if (key !== null) swagger.preauthorizeApiKey(SCHEME, key);
}

// Swagger UI has a dark side of its own, by a class.
const dark = matchMedia("(prefers-color-scheme: dark)");
const shade = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", shade);
shade();

// The bundle is a script of others that comes before this one.
const { SwaggerUIBundle } = /** @type {any} */ (window);

const swagger = SwaggerUIBundle({
  url: document.body.dataset.description,
  dom_id: "#console",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  // The default asks a server of others whether the description is valid.
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  onComplete: useKey,
});

part("forget").addEventListener("click", () => swagger.authActions.logout([SCHEME]));
