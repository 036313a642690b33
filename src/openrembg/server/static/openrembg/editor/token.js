// The user token of somebody who is logged in: kept in memory alone, given back on leaving.

import { Refused } from "./outcome.js";

const ADDRESS = "/api/user-token";

/** @type {Record<string, import("./outcome.js").Stop>} by the error's code */
const STOPS = {
  not_logged_in: "signed_out",
  csrf_failed: "stale",
  email_not_verified: "unconfirmed",
};

export class Token {
  /** @type {Promise<string> | null} */
  #asked = null;
  #text = "";

  /** @param {string} csrf the page's proof that it is ours; empty: nobody is logged in */
  constructor(csrf) {
    this.csrf = csrf;
    addEventListener("pagehide", () => this.#revoke());
  }

  /**
   * Go on as whoever is logged in now.
   * @param {string} csrf
   */
  renew(csrf) {
    this.#revoke();
    this.#asked = null;
    this.csrf = csrf;
  }

  /**
   * Return the token, a new one when there is none; nothing for a guest. Raises Refused.
   * @returns {Promise<string>}
   */
  async text() {
    if (!this.csrf) return "";
    this.#asked ??= this.#ask();
    try {
      this.#text = await this.#asked;
      return this.#text;
    } catch (error) {
      this.#asked = null;
      throw error;
    }
  }

  /**
   * Forget a token that has ended; whoever comes second finds a new one already.
   * @param {string} ended
   */
  forget(ended) {
    if (this.#text !== ended) return;
    this.#asked = null;
    this.#text = "";
  }

  async #ask() {
    const answer = await this.#post();
    if (answer.ok) return (await answer.json()).token;
    const { code } = await answer.json().catch(() => ({}));
    if (code in STOPS) throw new Refused({ kind: "stop", reason: STOPS[code] });
    const seconds = Number(answer.headers.get("Retry-After"));
    if (seconds > 0) throw new Refused({ kind: "wait", reason: "busy", seconds });
    throw new Refused({ kind: "failed", trouble: { word: "server", again: true } });
  }

  async #post() {
    try {
      return await fetch(ADDRESS, { method: "POST", headers: { "X-CSRFToken": this.csrf } });
    } catch {
      throw new Refused({ kind: "lost" });
    }
  }

  #revoke() {
    if (!this.#text) return;
    const headers = { Authorization: `Bearer ${this.#text}` };
    fetch(ADDRESS, { method: "DELETE", headers, keepalive: true }).catch(() => {});
    this.forget(this.#text);
  }
}
