/* A picture that lies on a web server. The API's key never goes there. */

import type { IncomingMessage } from "node:http";
import { posix } from "node:path";

import { isHttp, shownUrl } from "./address.js";
import { chunks, exchanged } from "./exchange.js";
import { ConnectionFailed, InputError, UnexpectedAnswer } from "./errors.js";
import { headerText } from "./facts.js";
import { spooledStream } from "./from-stream.js";
import { NO_NAME, type Picture } from "./picture.js";
import { printable } from "./printable.js";

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const EXTENSIONS = new Set([".webp", ".bmp", ".png", ".jpg", ".jpeg"]);
const HEADERS = { "accept-encoding": "identity", "user-agent": "openrembg-node/0.1.0" };

/** Fetch a picture, over at most five redirects. Raises InputError. */
export async function fromAddress(url: URL, signal: AbortSignal): Promise<Picture> {
  let at = url;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const fetched = await step(at, signal);
    if (!(fetched instanceof URL)) return fetched;
    at = fetched;
  }
  throw new InputError(`${shownUrl(url)} leads on more than ${MAX_REDIRECTS} times.`);
}

async function step(url: URL, signal: AbortSignal): Promise<Picture | URL> {
  const request = { url, method: "GET", headers: HEADERS };
  try {
    return await exchanged(request, signal, (answer) => taken(answer, url, signal));
  } catch (error) {
    // The line to somebody else's server is not the line to ours: nothing was sent.
    if (error === signal.reason) throw error;
    if (!(error instanceof ConnectionFailed || error instanceof UnexpectedAnswer)) throw error;
    const words = error.message.replace(/^❌ /u, "");
    throw new InputError(`The picture cannot be fetched: ${words}`, { cause: error });
  }
}

async function taken(answer: IncomingMessage, url: URL, signal: AbortSignal): Promise<Picture | URL> {
  const status = answer.statusCode ?? 0;
  if (REDIRECTS.has(status)) return target(answer, url);
  if (status !== 200) throw new InputError(`${shownUrl(url)} answered ${status}, not a picture.`);
  if ((headerText(answer.headers, "content-encoding") ?? "identity") !== "identity") {
    throw new InputError(`${shownUrl(url)} answered with packed bytes, which nobody asked for.`);
  }
  return spooledStream(chunks(answer), nameOf(url), signal);
}

function target(answer: IncomingMessage, url: URL): URL {
  const location = headerText(answer.headers, "location") ?? "";
  if (URL.canParse(location, url.href)) {
    const next = new URL(location, url);
    if (location && isHttp(next)) return next;
  }
  throw new InputError(`${shownUrl(url)} leads to what is no address of the web.`);
}

function nameOf(url: URL): string {
  const name = printable(decoded(posix.basename(url.pathname)));
  return EXTENSIONS.has(posix.extname(name).toLowerCase()) ? name : NO_NAME;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
