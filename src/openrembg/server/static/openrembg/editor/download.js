// Downloads, as the page knows them; see files.js, which is fetched when the work begins.

/** @typedef {import("./controls.js").Look} Look */
/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./picture.js").Words} Words */

const files = () => import("./files.js");

/**
 * Return the finished picture as a file.
 * @param {Item} item One with a cut-out.
 * @param {Look} look @param {Words} words
 * @throws {import("./picture.js").PictureError} Its message is a sentence for the reader.
 */
export const makeFile = async (item, look, words) => (await files()).makeFile(item, look, words);

/**
 * Make the finished picture and hand it to the reader.
 * @param {Item} item @param {Look} look @param {Words} words
 * @throws {import("./picture.js").PictureError}
 */
export const downloadOne = async (item, look, words) =>
  (await files()).downloadOne(item, look, words);

/**
 * Make all pictures, one after the other, and hand them over in a ZIP.
 * @param {Item[]} items Those with a cut-out.
 * @param {Look} look @param {Words} words
 * @param {(done: number, all: number) => void} onProgress
 * @returns The pictures that are not in it, and why.
 * @throws {import("./picture.js").PictureError} When not one could be made.
 */
export const downloadAll = async (items, look, words, onProgress) =>
  (await files()).downloadAll(items, look, words, onProgress);
