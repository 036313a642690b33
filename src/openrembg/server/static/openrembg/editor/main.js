// The editor: pictures come in, go to the server once, and are changed and downloaded here.

import { createSend } from "./api.js";
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

/** @type {Item[]} */
const items = [];
/** @type {Item | null} */
let shown = null;

const editor = byId("editor");
const stageWords = wordsOf("stage-words");

const list = new List(
  /** @type {HTMLOListElement} */ (byId("pictures")),
  /** @type {HTMLTemplateElement} */ (byId("picture")),
  { show, again: (item) => queue.add([item]), remove },
);
const token = editor.dataset.csrf ? new Token(editor.dataset.csrf) : null;
const queue = new Queue(createSend(token), { onChange: changed, onHalt: halted, onRest: renewLeft });
const stage = createStage(byId("stage"), stageWords, { onEdit: () => {} });
const controls = createControls(
  /** @type {HTMLFormElement} */ (byId("look")),
  stageWords,
  () => shown && present(shown),
);

/** @param {File[]} files */
async function take(files) {
  if (files.length === 0) return;
  startWork();
  const added = files.map(itemOf);
  items.push(...added);
  for (const item of added) list.add(item);
  count();
  const troubles = await Promise.all(added.map((item) => troubleWith(item.file)));
  added.forEach((item, place) => refuse(item, troubles[place]));
  queue.add(added.filter((item) => item.error === null && items.includes(item)));
}

/**
 * @param {Item} item
 * @param {import("./item.js").Trouble | null} error
 */
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
  if (item.state === "done" && shown === null) show(item);
  if (item.state === "failed") {
    byId("said").textContent = say("event", { name: item.name, state: stateOf(item) });
  }
  count();
}

/** @param {import("./queue.js").Halt | null} halt */
function halted(halt) {
  const said = tell(byId("halt"), halt, () => queue.resume());
  if (said) byId("said").textContent = said;
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
  count();
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
  button("download-one").disabled = shown === null;
  byId("download-all").hidden = done.length < 2;
}

function tryAllAgain() {
  queue.resume();
  queue.add(items.filter((item) => item.state === "failed" && item.error?.again));
}

async function renewLeft() {
  const answer = await fetch(String(editor.dataset.left)).catch(() => null);
  if (!answer?.ok || answer.redirected) return;
  const told = new DOMParser().parseFromString(await answer.text(), "text/html");
  byId("left").replaceChildren(...told.body.childNodes);
}

async function saveOne() {
  const item = shown;
  if (item) await saving("download-one", () => downloadOne(item, controls.look(), stageWords));
}

async function saveAll() {
  const bar = /** @type {HTMLProgressElement} */ (byId("packing"));
  bar.hidden = false;
  await saving("download-all", packAll);
  bar.hidden = true;
}

async function packAll() {
  const bar = /** @type {HTMLProgressElement} */ (byId("packing"));
  const leftOut = await downloadAll(finished(), controls.look(), stageWords, (done, all) => {
    bar.value = done / all;
  });
  const sentences = leftOut.map(({ item, error }) =>
    say("event", { name: item.name, state: sentenceOf(error) }),
  );
  setText("download-trouble", sentences.join(" "));
}

/**
 * Make files while a button waits; say why when it does not work.
 * @param {string} id the button's
 * @param {() => Promise<unknown>} make
 */
async function saving(id, make) {
  button(id).disabled = true;
  setText("download-trouble", "");
  try {
    await make();
  } catch (error) {
    setText("download-trouble", sentenceOf(error));
  }
  button(id).disabled = false;
}

/** @param {unknown} error its message is a sentence for the reader, if the editor has thrown it */
const sentenceOf = (error) =>
  error instanceof Error && error.name === "PictureError" ? error.message : stageWords.not_made;

/**
 * @param {string} id
 * @param {string} text a live region speaks only of what is new
 */
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
byId("download-one").addEventListener("click", saveOne);
byId("download-all").addEventListener("click", saveAll);
addEventListener("beforeunload", (event) => {
  if (queue.isBusy) event.preventDefault();
});
