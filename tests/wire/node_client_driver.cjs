// Calls our Node client once and prints as one line of JSON what came of it. It ends by itself, or
// does not: that is tested too. argv[2]: the client; argv[3]: JSON with
//   kind, value, name   the picture: how it is given, what it is, what it is called
//   call                more arguments of rembg or usage
//   usage               call usage() instead
//   abort               when to abort: "before", "upload", "download", or milliseconds
//   raise               which progress callback raises: "upload", "download", "async"
"use strict";

const fs = require("node:fs");
const { Readable } = require("node:stream");

const { rembg, usage } = require(process.argv[2]);

const asked = JSON.parse(process.argv[3]);
const progress = { up: [], down: [] };
const controller = new AbortController();
const began = process.memoryUsage().rss;
let peak = began;

const KINDS = {
  nothing: () => undefined,
  json: (value) => value,
  path: (value) => value,
  buffer: (value) => fs.readFileSync(value),
  view: (value) => {
    const bytes = Buffer.concat([Buffer.from("before"), fs.readFileSync(value), Buffer.from("after")]);
    const copy = new Uint8Array(bytes).buffer;
    return new DataView(copy, 6, copy.byteLength - 11);
  },
  arraybuffer: (value) => new Uint8Array(fs.readFileSync(value)).buffer,
  base64: (value) => ({ base64: fs.readFileSync(value).toString("base64") }),
  dataurl: (value) => ({
    base64: `data:image/jpeg;base64,${fs.readFileSync(value).toString("base64")}`,
  }),
  blob: (value) => new Blob([fs.readFileSync(value)]),
  file: (value) => new File([fs.readFileSync(value)], asked.name),
  readstream: (value) => fs.createReadStream(value),
  readable: (value) => Readable.from([fs.readFileSync(value)]),
  webstream: (value) => new Blob([fs.readFileSync(value)]).stream(),
  iterable: async function* (value) {
    for (const byte of fs.readFileSync(value)) yield Uint8Array.of(byte);
  },
  fileurl: (value) => require("node:url").pathToFileURL(value),
  url: (value) => new URL(value),
  endless: async function* () {
    for (;;) yield Buffer.alloc(1024 * 1024);
  },
  silent: () => new Readable({ read() {} }),
  silentweb: () => new ReadableStream({}),
  silentiterable: () => ({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) }),
  texts: () => Readable.from(["a text"]),
  failing: () => Readable.from((async function* () { throw new Error("the tape is torn"); })()),
  used: () => {
    const stream = Readable.from([Buffer.from("x")]);
    stream.destroy();
    return stream;
  },
  growing: (value) => {
    // Grows while it is sent: an upload callback writes to it.
    return value;
  },
};

function note(list, direction) {
  return (event) => {
    list.push({ ...event });
    peak = Math.max(peak, process.memoryUsage().rss);
    if (asked.abort === direction && event.loaded > 0) controller.abort();
    if (asked.raise === direction && event.loaded > 0) throw new TypeError("from the callback");
    if (asked.kind === "growing") fs.appendFileSync(asked.value, "more");
    if (asked.raise === "async") return Promise.reject(new TypeError("from the callback"));
    return undefined;
  };
}

function told(error) {
  if (!(error instanceof Error)) return { thrown: String(error) };
  const classes = [];
  for (let at = Object.getPrototypeOf(error); at; at = Object.getPrototypeOf(at)) {
    classes.push(at.constructor.name);
  }
  return { ...error, name: error.name, message: error.message, classes, all: inspected(error) };
}

function inspected(error) {
  return require("node:util").inspect(error, { depth: 8 });
}

async function result() {
  if (asked.abort === "before") controller.abort();
  if (typeof asked.abort === "number") setTimeout(() => controller.abort(), asked.abort);
  const signal = asked.abort === undefined ? {} : { signal: controller.signal };
  if (asked.usage) return { usage: await usage({ ...asked.call, ...signal }) };
  const { base64Image, outputImagePath, cleanup, info } = await rembg({
    inputImage: KINDS[asked.kind](asked.value),
    onUploadProgress: note(progress.up, "upload"),
    onDownloadProgress: note(progress.down, "download"),
    ...asked.call,
    ...signal,
  });
  if (base64Image) return { base64Image, info };
  const bytes = fs.readFileSync(outputImagePath).toString("base64");
  const mode = fs.statSync(outputImagePath).mode & 0o777;
  await cleanup();
  await cleanup();
  return { outputImagePath, bytes, mode, info };
}

result()
  .catch((error) => ({ error: told(error) }))
  .then((given) => {
    console.log(JSON.stringify({ ...given, progress, grown: peak - began }));
  });
