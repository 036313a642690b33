// A picture of the editor, from the moment it was added.

/** @typedef {"waiting" | "uploading" | "working" | "done" | "failed"} State */

/** @typedef {"credit" | "today" | "paid" | "nothing" | ""} Charged what a cut-out cost */

/**
 * Why a picture was not cut out.
 * @typedef {object} Trouble
 * @property {string} word the sentence that says it
 * @property {Record<string, string>} [values] what the sentence's blanks stand for
 * @property {string} [english] the server's own sentence
 * @property {boolean} again whether it is worth another try
 */

/**
 * @typedef {object} Item
 * @property {number} id in the order in which pictures were added
 * @property {string} name the file's
 * @property {File} file
 * @property {State} state
 * @property {number} progress of the upload, 0 to 1
 * @property {Blob | null} cutout as the server sent it
 * @property {boolean} detected whether a subject was found
 * @property {import("./strokes.js").Stroke[]} strokes of the brush, in their order
 * @property {Trouble | null} error
 * @property {Charged} charged
 * @property {string} key the Idempotency-Key: with the same one, a picture is never paid twice
 */

let last = 0;

/**
 * Return a picture that waits for its turn.
 * @param {File} file
 * @returns {Item}
 */
export function itemOf(file) {
  last += 1;
  return {
    id: last,
    name: file.name,
    file,
    state: "waiting",
    progress: 0,
    cutout: null,
    detected: false,
    strokes: [],
    error: null,
    charged: "",
    key: freshKey(),
  };
}

/** Return 128 random bits; crypto.randomUUID is missing on pages without TLS. */
function freshKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `editor-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
