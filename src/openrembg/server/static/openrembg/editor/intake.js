// Every way in which pictures come in: the chooser, a drop anywhere on the page, the clipboard.

import { compare } from "./words.js";

/** @typedef {(files: File[]) => void} TakeFiles */

const PICTURE = /\.(png|jpe?g|webp|bmp)$/i;
// What computers leave in folders for themselves.
const NOBODYS = /^(\..*|thumbs\.db|desktop\.ini)$/i;

/**
 * Let a file chooser open from buttons.
 * @param {HTMLInputElement} input @param {Iterable<Element>} buttons @param {TakeFiles} take
 */
export function takeChosen(input, buttons, take) {
  for (const button of buttons) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // The same file may be chosen again.
    take(files);
  });
}

/**
 * Take what is pasted anywhere, but texts.
 * @param {TakeFiles} take
 */
export function takePasted(take) {
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(files);
  });
}

/**
 * Take what is dropped anywhere on the page.
 * @param {HTMLElement} over what is shown while files are held over the page
 * @param {(files: File[], leftOut: number | null) => void} take leftOut: how many files of folders
 *   are no pictures; null where there was no folder
 */
export function takeDropped(over, take) {
  addEventListener("dragenter", (event) => {
    if (hasFiles(event)) over.hidden = false;
  });
  over.addEventListener("dragleave", () => {
    over.hidden = true;
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("drop", async (event) => {
    over.hidden = true;
    if (!event.dataTransfer || !hasFiles(event)) return;
    event.preventDefault();
    const { files, leftOut } = await filesOf(event.dataTransfer);
    take(files, leftOut);
  });
}

/** @param {DragEvent} event */
const hasFiles = (event) => event.dataTransfer?.types.includes("Files") ?? false;

/**
 * Return the files of a drop; with folders, the pictures in them, all by their names.
 * @param {DataTransfer} transfer
 * @returns {Promise<{files: File[], leftOut: number | null}>}
 */
async function filesOf(transfer) {
  // Both lists are empty as soon as the event is over.
  const files = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return { files, leftOut: null };
  const all = (await Promise.all(entries.map((entry) => (entry ? filesIn(entry) : [])))).flat();
  // What was dropped by itself is told of by itself.
  const wanted = all.filter((entry) => PICTURE.test(entry.name) || entries.includes(entry));
  wanted.sort((one, other) => compare(one.name, other.name));
  return { files: await Promise.all(wanted.map(fileOf)), leftOut: all.length - wanted.length };
}

/** @param {FileSystemEntry} entry @returns {Promise<FileSystemFileEntry[]>} */
async function filesIn(entry) {
  if (entry.isFile) return [/** @type {FileSystemFileEntry} */ (entry)];
  const entries = await entriesOf(/** @type {FileSystemDirectoryEntry} */ (entry));
  const wanted = entries.filter((inside) => !NOBODYS.test(inside.name));
  return (await Promise.all(wanted.map(filesIn))).flat();
}

/** @param {FileSystemFileEntry} entry @returns {Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** @param {FileSystemDirectoryEntry} folder */
async function entriesOf(folder) {
  const reader = folder.createReader();
  const all = [];
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
