// What a file is, by its first bytes; checked before it is uploaded.

import { decimal } from "./words.js";

/** @typedef {import("./item.js").Trouble} Trouble */
/** @typedef {"png" | "jpg" | "webp" | "bmp"} Kind */

const MIB = 1024 * 1024;
const MOST_BYTES = 50 * MIB;
const LOOKED_AT = 16;
const HEIF = /^(hei[cmsx]|hev[cmsx]|mif1|msf1)$/;

/**
 * Return why a file cannot be cut out, null when it can be tried.
 * @param {File} file
 * @returns {Promise<Trouble | null>}
 */
export async function troubleWith(file) {
  if (file.size > MOST_BYTES) {
    const values = { size: decimal(file.size / MIB), most: decimal(MOST_BYTES / MIB) };
    return { word: "large", values, again: false };
  }
  const head = await headOf(file);
  if (head === null) return { word: "gone", again: false };
  if (file.size === 0) return { word: "empty", again: false };
  if (kindOf(head) !== null) return null;
  return { word: isHeif(head) ? "heic" : "kind", again: false };
}

/**
 * Return the name under which a picture is uploaded: its own stays with the reader.
 * @param {File} file
 */
export async function uploadName(file) {
  const head = await headOf(file);
  const kind = head === null ? null : kindOf(head);
  return kind === null ? null : `picture.${kind}`;
}

/** @param {File} file */
async function headOf(file) {
  try {
    const bytes = new Uint8Array(await file.slice(0, LOOKED_AT).arrayBuffer());
    return String.fromCharCode(...bytes);
  } catch {
    return null; // It was moved or changed since it was chosen, or it is a folder.
  }
}

/** @param {string} head @returns {Kind | null} */
function kindOf(head) {
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (head.startsWith("\xff\xd8\xff")) return "jpg";
  if (head.startsWith("RIFF") && head.slice(8, 12) === "WEBP") return "webp";
  return head.startsWith("BM") ? "bmp" : null;
}

/** @param {string} head */
const isHeif = (head) => head.slice(4, 8) === "ftyp" && HEIF.test(head.slice(8, 12));
