// Calls our Node client in many ways, one after the other, against servers of its own, and prints as
// one line of JSON what came of each. argv[2]: the client; argv[3]: a folder for files of its own;
// argv[4]: a certificate that nobody trusts, with its key. It ends by itself.
"use strict";

const { createReadStream, readdirSync, readFileSync } = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { Readable } = require("node:stream");

const whole = require(process.argv[2]);
const { rembg } = whole;
const folder = process.argv[3];
const WEBP = Buffer.from("RIFF\x09\0\0\0WEBPa cut-out", "latin1");
const PICTURE = Buffer.from([0xfb, 0xff, 0xbf, 1, 2, 3, 4]); // +, / and = in base64
const NOWHERE = "http://127.0.0.1:9";

const unheard = [];
process.on("uncaughtException", (error) => unheard.push(String(error)));
process.on("unhandledRejection", (error) => unheard.push(String(error)));

// What the servers have got: the size of each body, its last bytes, the headers.
const got = [];

async function serving(handler, tls) {
  const server = tls ? https.createServer(tls, handler) : http.createServer(handler);
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const url = `${tls ? "https" : "http"}://127.0.0.1:${server.address().port}`;
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url, stop };
}

function answering(headers = {}, body = WEBP) {
  return (request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const all = Buffer.concat(parts);
      got.push({ size: all.length, picture: sent(all), headers: request.headers, url: request.url });
      response.writeHead(200, { "content-type": "image/webp", "content-length": body.length, ...headers });
      response.end(body);
    });
  };
}

function sent(form) {
  const begin = form.indexOf("octet-stream\r\n\r\n") + 16;
  return form.subarray(begin, form.lastIndexOf("\r\n--")).subarray(0, 64).toString("hex");
}

async function outcome(call) {
  got.length = 0;
  try {
    const { base64Image, outputImagePath, cleanup } = await call();
    await cleanup?.();
    return { kind: base64Image === undefined ? typeof outputImagePath : "base64", got: [...got] };
  } catch (error) {
    const { name, message, code } = Object(error);
    return { name, message, code, got: [...got] };
  }
}

const descriptors = () => readdirSync("/proc/self/fd").length;
const later = (ms) => new Promise((done) => setTimeout(done, ms));

async function* empties() {
  for (;;) yield Buffer.alloc(0);
}

async function* bytes(count) {
  const byte = Buffer.alloc(1);
  for (let at = 0; at < count; at += 1) yield byte;
}

async function main() {
  const said = {};
  const server = await serving(answering());
  const call = (more) => rembg({ apiKey: "k", baseUrl: server.url, inputImage: PICTURE, ...more });
  const tell = async (name, more) => {
    said[name] = await outcome(typeof more === "function" ? more : () => call(more));
  };

  // Streams and Blobs.
  await tell("empty pieces", { timeout: 300, inputImage: empties() });
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error("enough")), 100);
  await tell("empty pieces of the web", {
    signal: stop.signal,
    inputImage: new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(0)) }),
  });
  await tell("a million pieces", { inputImage: bytes(1_000_001) });
  await tell("a Blob of somebody's", {
    inputImage: { size: 7, stream: () => new Blob([PICTURE]).stream() },
  });
  await tell("a Blob of somebody's without a stream", {
    inputImage: { size: 7, name: "its.png", arrayBuffer: () => new Blob([PICTURE]).arrayBuffer() },
  });
  await tell("a Blob of nothing", { inputImage: { size: 7, arrayBuffer: () => 5 } });
  const begun = Readable.from([PICTURE, PICTURE]);
  await new Promise((done) => begun.once("data", () => done(begun.pause())));
  await tell("a stream that was begun", { inputImage: begun });
  const web = new Blob([PICTURE]).stream();
  const reader = web.getReader();
  await reader.read();
  reader.releaseLock();
  await tell("a stream of the web that was begun", { inputImage: web });

  // Streams that fail early, or are handed to a call that does.
  const all = Array.from({ length: 100 }, () =>
    outcome(() => call({ inputImage: createReadStream(join(folder, "missing")) })),
  );
  said["missing streams"] = [...new Set((await Promise.all(all)).map(({ message }) => message))];
  await tell("a wrong option with a missing stream", {
    inputImage: createReadStream(join(folder, "missing")),
    options: { format: "gif" },
  });
  const before = descriptors();
  for (let at = 0; at < 20; at += 1) {
    const inputImage = createReadStream(__filename);
    await outcome(() => call({ inputImage, ...(at % 2 ? { retries: -1 } : { options: 5 }) }));
  }
  await later(200);
  said["descriptors left"] = descriptors() - before;

  // A message's socket is not the client's.
  const proxy = await serving(async (request, response) => {
    const made = await outcome(() => call({ inputImage: request }));
    response.end(made.message ?? "well");
  });
  const post = async (body) => (await fetch(proxy.url, { method: "POST", body })).text();
  said["a message"] = [await post(PICTURE), await post(Buffer.alloc(50 * 1024 * 1024 + 1))];
  proxy.stop();

  // Callbacks.
  const rejecting = { then: (_, no) => no(new TypeError("from a thenable")) };
  await tell("a thenable", { onUploadProgress: () => rejecting });
  await tell("a late rejection", {
    onDownloadProgress: async () => {
      await later(100);
      throw new TypeError("late");
    },
  });
  await tell("a promise that stays", { timeout: 300, onUploadProgress: () => new Promise(() => {}) });
  const last = new AbortController();
  await tell("an abort in the last callback", {
    signal: last.signal,
    onDownloadProgress: ({ progress }) => progress === 1 && last.abort(new TypeError("mine")),
  });
  const steps = [];
  await tell("chunks of the answer", async () => {
    const chunked = await serving((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "image/webp" });
      response.write(WEBP);
      setTimeout(() => response.write("more"), 300);
      setTimeout(() => response.end("and more"), 310);
    });
    const note = (event) => steps.push(event);
    return call({ baseUrl: chunked.url, onDownloadProgress: note }).finally(chunked.stop);
  });
  said.steps = steps;

  // A kept connection that the server closes when it is used again.
  for (const [name, size, reads] of [["begun", 20_000_000, false], ["whole", 300_000, true]]) {
    let requests = 0;
    const events = [];
    const stale = await serving((request, response) => {
      requests += 1;
      if (requests !== 2) return answering()(request, response);
      if (!reads) return request.socket.resetAndDestroy();
      request.resume();
      return request.on("end", () => request.socket.destroy());
    });
    const ask = (more) => call({ baseUrl: stale.url, inputImage: Buffer.alloc(size), ...more });
    await (await ask({})).cleanup();
    const onUploadProgress = (event) => events.push(event);
    const made = await outcome(() => ask({ retries: 0, onUploadProgress }));
    said[`stale ${name}`] = { ...made, requests, negative: events.filter((one) => one.bytes < 0).length };
    stale.stop();
  }

  // Arguments.
  const HEADERS = [new Headers({ a: "1" }), new Map([["A", "1"]]), [["a", "1"], ["A", "2"]]];
  for (const [at, headers] of HEADERS.entries()) await tell(`headers ${at}`, { headers });
  for (const [at, headers] of [new Set(), new Date(), new URLSearchParams()].entries()) {
    await tell(`no headers ${at}`, { headers });
  }
  const base64 = PICTURE.toString("base64");
  const written = [
    ` "${base64}"\n`, base64.replace("=", ""), PICTURE.toString("base64url"), `\ufeff${base64}==`,
    `${base64.slice(0, 5)}\r\n ${base64.slice(5)}`, `data:image/png,${base64}`,
    `data:image/png;name="a,b";base64,${base64}`, `'DATA:;BASE64,${base64}'`,
  ];
  for (const [at, text] of written.entries()) await tell(`base64 ${at}`, { inputImage: { base64: text } });
  const gone = new Uint8Array(100_000);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  await tell("detached bytes", { inputImage: gone.buffer });
  const going = new Uint8Array(100_000);
  await tell("bytes that are detached soon", () => {
    const made = call({ inputImage: going, options: { returnBase64: true } });
    structuredClone(going.buffer, { transfer: [going.buffer] });
    return made;
  });

  // Lines that stay broken: with retries, but none is made. And one that would wait for ever.
  await tell("no host", { baseUrl: "http://a..b" });
  await tell("no TLS", { baseUrl: server.url.replace("http", "https") });
  const pem = readFileSync(process.argv[4]);
  const secure = await serving(answering(), { key: pem, cert: pem });
  await tell("no trust", { baseUrl: secure.url });
  secure.stop();
  let asked = 0;
  const busy = await serving((request, response) => {
    asked += 1;
    request.resume();
    response.writeHead(503, { "retry-after": "2592000" }).end("{}");
  });
  await tell("a wait of a month", { baseUrl: busy.url, timeout: Infinity, signal: AbortSignal.timeout(500) });
  said["a wait of a month"].asked = asked;
  busy.stop();

  server.stop();
  said.unheard = unheard;
  said.left = readdirSync(tmpdir());
  console.log(JSON.stringify(said));
}

main();
