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
 * @property {boolean} isSaved nothing would be lost with it
 * @property {number} losses connections that were lost while it was on its way
 * @property {string} key the Idempotency-Key, once there is one
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
    isSaved: false,
    losses: 0,
    key: "",
  };
}

/**
 * Return an Idempotency-Key for a file: its bytes are paid once in a day, even if the page is lost.
 * @param {File} file
 */
export async function keyOf(file) {
  // crypto.subtle is missing on pages without TLS.
  const random = () => crypto.getRandomValues(new Uint8Array(16)).buffer;
  const digest = await file
    .arrayBuffer()
    .then((bytes) => crypto.subtle.digest("SHA-256", bytes))
    .catch(random);
  const bytes = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0"));
  return `editor-${bytes.join("")}`;
}
