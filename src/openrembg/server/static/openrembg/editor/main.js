// The editor: pictures come in, go to the server once, and are changed and downloaded here.

import { createSend, isReachable } from "./api.js";
import { setUpCamera } from "./camera.js";
import { createControls } from "./controls.js";
import { downloadAll, downloadOne } from "./download.js";
import { takeChosen, takeDropped, takePasted } from "./intake.js";
import { itemOf } from "./item.js";
import { troubleWith } from "./kinds.js";
import { List, stateOf } from "./list.js";
import { tell } from "./notices.js";
import { Queue } from "./queue.js";
import { createStage } from "./stage.js";
import { Token } from "./token.js";
import { number, say, wordsOf } from "./words.js";

/** @typedef {import("./item.js").Item} Item */

const A_FRAME_MS = 50;

/** @type {Item[]} */
const items = [];
/** @type {Item | null} */
let shown = null;

const editor = byId("editor");
const removing = /** @type {HTMLDialogElement} */ (byId("removing"));
const packing = /** @type {HTMLProgressElement} */ (byId("packing"));
const stageWords = wordsOf("stage-words");

const list = new List(
  /** @type {HTMLOListElement} */ (byId("pictures")),
  /** @type {HTMLTemplateElement} */ (byId("picture")),
  { show, again: (item) => queue.add([item]), remove },
);
const token = new Token(proof());
const queue = new Queue(createSend(token), isReachable, {
  onChange: changed,
  onHalt: halted,
  onRest: renewLeft,
});
const stage = createStage(byId("stage"), stageWords, { onEdit: edited });
const controls = createControls(
  /** @type {HTMLFormElement} */ (byId("look")),
  stageWords,
  () => shown && present(shown),
);

/** @param {File[]} files @param {number | null} [leftOut] files of a folder that are no pictures */
async function take(files, leftOut = null) {
  sayTaken(leftOut ? say("left_out", { count: number(leftOut) }) : "");
  if (files.length === 0) return leftOut !== null && sayTaken(say("no_pictures"));
  startWork();
  const added = files.map(itemOf);
  items.push(...added);
  for (const item of added) list.add(item);
  count();
  const troubles = await Promise.all(added.map((item) => troubleWith(item.file)));
  added.forEach((item, place) => refuse(item, troubles[place]));
  queue.add(added.filter((item) => item.error === null && items.includes(item)));
}

/** @param {string} [sentence] about a folder */
function sayTaken(sentence = "") {
  byId("taken").hidden = !sentence;
  setText("taken", sentence);
  if (sentence) byId("said").textContent = sentence;
}

/** @param {Item} item @param {import("./item.js").Trouble | null} error */
function refuse(item, error) {
  if (error === null) return;
  Object.assign(item, { state: "failed", error });
  changed(item);
}

function startWork() {
  if (editor.dataset.view === "work") return;
  editor.dataset.view = "work";
  byId("tray-title").focus({ preventScroll: true });
}

/** @param {Item} item */
function changed(item) {
  list.update(item);
  if (shown === null) showFirst();
  if (item.state === "failed") {
    byId("said").textContent = say("event", { name: item.name, state: stateOf(item) });
  }
  count();
}

/** @param {import("./queue.js").Halt | null} halt */
function halted(halt) {
  const said = tell(byId("halt"), halt, goOn);
  if (said) byId("said").textContent = said;
}

/** Go on, as whoever is signed in now. */
async function goOn() {
  if (await renewLeft()) token.renew(proof());
  queue.resume();
}

/** Go on when something has changed elsewhere: signed in, confirmed, bought. */
async function comeBack() {
  if (document.hidden || !queue.isStopped) return;
  const before = byId("left").textContent;
  await renewLeft();
  if (byId("left").textContent !== before && queue.isStopped) goOn();
}

/** @param {Item} item */
function edited(item) {
  item.isSaved = false;
}

/** @param {Item} item */
function show(item) {
  shown = item;
  editor.dataset.shown = item.name;
  list.mark(item);
  count();
  present(item);
}

/** @param {Item} item */
async function present(item) {
  try {
    await stage.show(item, controls.look());
  } catch {
    // The stage is fetched when it is first needed; it is tried again with the next picture.
    setText("download-trouble", say("network"));
  }
}

/** @param {Item} item */
function remove(item) {
  queue.remove(item);
  items.splice(items.indexOf(item), 1);
  list.remove(item);
  if (shown === item) showAnother();
  else if (shown === null) showFirst();
  count();
  if (items.length === 0) startAnew();
}

function removeAll() {
  // The last one first: with the first, the second would be opened.
  for (const item of items.toReversed()) remove(item);
}

function askToRemoveAll() {
  if (finished().every((item) => item.isSaved)) return removeAll();
  removing.returnValue = "";
  removing.showModal();
}

function startAnew() {
  editor.dataset.view = "start";
  sayTaken();
  setText("download-trouble", "");
  /** @type {HTMLElement} */ (editor.querySelector("[data-choose]")).focus();
}

/** Show the first picture of the list when it is there; those that failed do not count. */
function showFirst() {
  const first = items.find((item) => item.state !== "failed");
  if (first?.state === "done") show(first);
}

function showAnother() {
  shown = null;
  delete editor.dataset.shown;
  const next = finished()[0];
  if (next) show(next);
  else stage.clear().catch(() => undefined);
}

const finished = () => items.filter((item) => item.state === "done");

function count() {
  const [done, failed] = [finished(), items.filter((item) => item.state === "failed")];
  const values = { done: number(done.length), all: number(items.length) };
  const sentence = failed.length ? "count_failed" : "count";
  setText("count", say(sentence, { ...values, failed: number(failed.length) }));
  const all = /** @type {HTMLProgressElement} */ (byId("all"));
  all.value = items.length ? (done.length + failed.length) / items.length : 0;
  all.hidden = done.length + failed.length === items.length;
  byId("all-again").hidden = failed.filter((item) => item.error?.again).length < 2;
  byId("remove-all").hidden = items.length < 2;
  button("download-one").disabled = shown === null;
  byId("download-all").hidden = done.length < 2;
}

function tryAllAgain() {
  queue.add(items.filter((item) => item.state === "failed" && item.error?.again));
  if (queue.isStopped) goOn();
}

/** Say anew what is left; return whether the server has answered. */
async function renewLeft() {
  const answer = await fetch(String(editor.dataset.left)).catch(() => null);
  if (!answer?.ok || answer.redirected) return false;
  const told = new DOMParser().parseFromString(await answer.text(), "text/html");
  byId("left").replaceChildren(...told.body.childNodes);
  return true;
}

/** Return the proof that the page is ours, an empty text where nobody is signed in. */
function proof() {
  const found = /** @type {HTMLElement | null} */ (editor.querySelector("[data-csrf]"));
  return found?.dataset.csrf ?? "";
}

async function saveOne() {
  const item = shown;
  if (!item || !controls.check()) return;
  item.isSaved = true; // What is painted from now on is not in the file.
  const save = () => downloadOne(item, controls.look(), stageWords);
  if (!(await saving("download-one", save))) item.isSaved = false;
}

async function saveAll() {
  if (!controls.check()) return;
  packing.hidden = false;
  const all = finished();
  for (const item of all) item.isSaved = true;
  const isMade = await saving("download-all", () => packAll(all));
  if (!isMade) all.forEach(edited);
  packing.hidden = true;
}

/** @param {Item[]} all */
async function packAll(all) {
  const leftOut = await downloadAll(all, controls.look(), stageWords, (done, of) => {
    packing.value = done / of;
  });
  for (const { item } of leftOut) edited(item);
  const sentences = leftOut.map(({ item, error }) =>
    say("event", { name: item.name, state: sentenceOf(error) }),
  );
  setText("download-trouble", sentences.join(" "));
}

/**
 * Make files while a button waits; say why when it does not work. Return whether it has.
 * @param {string} id the button's @param {() => Promise<unknown>} make
 */
async function saving(id, make) {
  const pressed = button(id);
  const label = pressed.textContent;
  pressed.textContent = byId("said").textContent = say("making");
  pressed.disabled = true;
  setText("download-trouble", "");
  // The work may leave no time to show what was said.
  await new Promise((resolve) => setTimeout(resolve, A_FRAME_MS));
  const trouble = await make().then(() => "", sentenceOf);
  if (trouble) setText("download-trouble", trouble);
  pressed.textContent = label;
  byId("said").textContent = "";
  pressed.disabled = false;
  if (document.activeElement === document.body) pressed.focus();
  return !trouble;
}

/** @param {unknown} error its message is a sentence for the reader, if the editor has thrown it */
const sentenceOf = (error) =>
  error instanceof Error && error.name === "PictureError" ? error.message : stageWords.not_made;

/** @param {string} id @param {string} text a live region speaks only of what is new */
function setText(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

/** @param {string} id */
function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @param {string} id */
const button = (id) => /** @type {HTMLButtonElement} */ (byId(id));

takeChosen(/** @type {HTMLInputElement} */ (byId("files")), editor.querySelectorAll("[data-choose]"), take);
takePasted(take);
takeDropped(byId("over"), take);
setUpCamera(
  [...editor.querySelectorAll("button[data-camera]")].map((found) => /** @type {HTMLButtonElement} */ (found)),
  /** @type {HTMLInputElement} */ (byId("shot")),
  /** @type {HTMLDialogElement} */ (byId("camera")),
  take,
);
byId("all-again").addEventListener("click", tryAllAgain);
byId("remove-all").addEventListener("click", askToRemoveAll);
removing.addEventListener("close", () => removing.returnValue && removeAll());
byId("download-one").addEventListener("click", saveOne);
byId("download-all").addEventListener("click", saveAll);
document.addEventListener("visibilitychange", comeBack);
addEventListener("beforeunload", (event) => {
  if (queue.isBusy || finished().some((item) => !item.isSaved)) event.preventDefault();
});
