// One picture's way to the server and back: one call of /rmbg, whatever is done with it later.

import { keyOf } from "./item.js";
import { uploadName } from "./kinds.js";
import { Refused, outcomeOf } from "./outcome.js";

/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./outcome.js").Outcome} Outcome */
/** @typedef {import("./token.js").Token} Token */

/**
 * How the way is followed.
 * @typedef {object} Follow
 * @property {AbortSignal} signal ends it
 * @property {(fraction: number) => void} onUpload
 * @property {() => void} onUploaded the server has all of it
 */

/** @typedef {(item: Item, follow: Follow) => Promise<Outcome>} Send */

const ADDRESS = "/rmbg";
const PULSE = "/health";
// Longer than the server lets anybody wait; then the connection has died without a word.
const ANSWER_MS = 180_000;

/**
 * Return the function that sends a picture.
 * @param {Token} token
 * @returns {Send}
 */
export function createSend(token) {
  return async (item, follow) => {
    try {
      const first = await exchange(item, follow, token);
      if (first.kind !== "expired") return first;
      const second = await exchange(item, follow, token);
      return second.kind === "expired" ? { kind: "stop", reason: "signed_out" } : second;
    } catch (error) {
      if (error instanceof Refused) return error.outcome;
      throw error;
    }
  };
}

/** Return whether the server can be reached; a proxy may stand before it. */
export async function isReachable() {
  const answer = await fetch(PULSE, { cache: "no-store" }).catch(() => null);
  return answer !== null && answer.status < 500;
}

/** @param {Item} item @param {Follow} follow @param {Token} token */
async function exchange(item, follow, token) {
  const name = await uploadName(item.file);
  if (name === null) throw new Refused({ kind: "failed", trouble: { word: "gone", again: false } });
  const text = await token.text();
  if (text) item.key ||= await keyOf(item.file);
  const outcome = await outcomeOf(await post(formOf(item, name), headersOf(item, text), follow));
  if (outcome.kind === "expired") token.forget(text);
  return outcome;
}

/** @param {Item} item @param {string} name */
function formOf(item, name) {
  const form = new FormData();
  form.append("format", "webp");
  form.append("image", item.file, name);
  return form;
}

/** @param {Item} item @param {string} token @returns {Record<string, string>} */
function headersOf(item, token) {
  return token ? { Authorization: `Bearer ${token}`, "Idempotency-Key": item.key } : {};
}

/**
 * Send a form. Raises Refused when no answer comes. (fetch does not tell how an upload proceeds.)
 * @param {FormData} form @param {Record<string, string>} headers @param {Follow} follow
 * @returns {Promise<import("./outcome.js").Answer>}
 */
function post(form, headers, { signal, onUpload, onUploaded }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let patience = 0;
    request.open("POST", ADDRESS);
    request.responseType = "blob";
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onUpload(event.loaded / event.total);
    request.upload.onload = () => {
      patience = setTimeout(() => request.abort(), ANSWER_MS);
      onUploaded();
    };
    request.onload = () => resolve(answerOf(request));
    request.onerror = () => reject(new Refused({ kind: "lost" }));
    request.onabort = () => reject(new Refused({ kind: signal.aborted ? "removed" : "lost" }));
    request.onloadend = () => clearTimeout(patience);
    signal.addEventListener("abort", () => request.abort());
    if (signal.aborted) reject(new Refused({ kind: "removed" }));
    else request.send(form);
  });
}

/** @param {XMLHttpRequest} request @returns {import("./outcome.js").Answer} */
function answerOf(request) {
  return {
    status: request.status,
    body: request.response,
    header: (name) => request.getResponseHeader(name) ?? "",
  };
}
