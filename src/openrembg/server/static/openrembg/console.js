// The interactive console: Swagger UI over this server's own description, and nothing else. The key
// that the reader entered in the documentation is sent along.

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

function useKey() {
  const key = kept();
  if (key !== null) swagger.preauthorizeApiKey(SCHEME, key);
  say(key);
}

function forgetKey() {
  keep(null);
  swagger.authActions.logout([SCHEME]);
  say(null);
}

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

part("forget").addEventListener("click", forgetKey);
