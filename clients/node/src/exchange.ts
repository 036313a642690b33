/* One request and its answer. */

import * as http from "node:http";
import * as https from "node:https";
import { setImmediate } from "node:timers/promises";

import { shownUrl } from "./address.js";
import { ConnectionFailed, InputError, UnexpectedAnswer } from "./errors.js";
import { lineReason } from "./line-failure.js";
import { codeOf, reason } from "./printable.js";
import type { Telling } from "./progress.js";

/** What a request carries. */
export interface Body {
  readonly type: string;
  /** In bytes. */
  readonly size: number;
  /** Small pieces, each time from the first on. */
  readonly pieces: () => AsyncIterable<Uint8Array>;
}

/** What is asked. */
export interface Request {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Body;
  /** Whom to tell how much of the body has gone: somebody new for each sending. */
  readonly telling?: () => Telling;
}

/** What makes of an answer what the caller wants. */
export type Reader<T> = (answer: http.IncomingMessage) => Promise<T>;

// An idle connection of these does not keep the process alive: Node unrefs it.
const AGENTS = {
  "http:": new http.Agent({ keepAlive: true, maxFreeSockets: 8 }),
  "https:": new https.Agent({ keepAlive: true, maxFreeSockets: 8 }),
};

/**
 * Send a request, and return what `read` makes of the answer.
 *
 * Raises ConnectionFailed, UnexpectedAnswer, the signal's reason, and what the body's pieces, the
 * progress callback and `read` raise. Whatever happens, nothing of the exchange goes on after it.
 */
export async function exchanged<T>(
  request: Request,
  signal: AbortSignal,
  read: Reader<T>,
): Promise<T> {
  try {
    return await attempted(request, signal, read, true);
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error;
    return attempted(request, signal, read, false);
  }
}

/** Yield an answer's bytes. Raises ConnectionFailed when the line breaks. */
export async function* chunks(answer: http.IncomingMessage): AsyncIterable<Buffer> {
  try {
    for await (const chunk of answer) yield chunk as Buffer;
  } catch (error) {
    throw new ConnectionFailed("❌ The answer broke off before its end.", { cause: error });
  }
  if (!answer.complete) throw new ConnectionFailed("❌ The answer broke off before its end.");
}

// The server has closed a kept connection while we began to use it again. It has answered nothing,
// and has not got a whole body that it could work on: to send it again costs nothing.
class StaleConnection extends Error {}

async function attempted<T>(
  request: Request,
  signal: AbortSignal,
  read: Reader<T>,
  keepAlive: boolean,
): Promise<T> {
  signal.throwIfAborted();
  const line = new Line(request, keepAlive);
  const stop = (): void => line.cut();
  signal.addEventListener("abort", stop);
  const sending = send(line, request);
  try {
    const made = await read(await Promise.race([line.answering, unlessFails(sending)]));
    // An answer that came early, or was not read to its end: the line is of no more use.
    if (!line.isFree) line.cut();
    return made;
  } catch (error) {
    line.cut();
    throw signal.aborted ? signal.reason : error; // Not the broken line, which might be tried again.
  } finally {
    signal.removeEventListener("abort", stop);
    // Else a file might be read that its owner closes now.
    await sending.catch(() => {});
  }
}

/** A request on its way, and its answer. */
class Line {
  /** Rejects with ConnectionFailed or UnexpectedAnswer when there will be none. */
  readonly answering: Promise<http.IncomingMessage>;
  readonly #outgoing: http.ClientRequest;
  readonly #url: URL;
  // How much of the body is left to be sent; without one there is nothing to work on.
  #bodyLeft: number;
  #readBefore = 0;
  #answer: http.IncomingMessage | undefined;

  constructor(request: Request, keepAlive: boolean) {
    this.#url = request.url;
    this.#bodyLeft = request.body?.size ?? Infinity;
    const outgoing = (this.#outgoing = started(request, keepAlive));
    this.answering = new Promise((resolve, reject) => {
      outgoing.once("socket", (socket) => (this.#readBefore = socket.bytesRead));
      outgoing.once("response", (answer) => resolve((this.#answer = answer)));
      outgoing.once("close", () => reject(this.#broken(new Error("it was closed unanswered"))));
      // Stays for good: an error that comes late must find a listener.
      outgoing.on("error", (error) => reject(this.#broken(error)));
    });
    this.answering.catch(() => {});
  }

  /** All was sent and all was read: the connection can serve the next request. */
  get isFree(): boolean {
    return this.#outgoing.writableFinished && this.#answer?.readableEnded === true;
  }

  /** Nothing more needs to be sent. */
  get isDone(): boolean {
    return this.#outgoing.destroyed || this.#answer !== undefined;
  }

  cut(): void {
    this.#outgoing.destroy();
  }

  end(): void {
    this.#outgoing.end();
  }

  /** Send a piece. True when the system has taken it, false when the line is broken. */
  async takes(piece: Uint8Array): Promise<boolean> {
    this.#bodyLeft -= piece.byteLength;
    // A request that is destroyed before it is connected forgets its callbacks: hence "close".
    return new Promise((resolve) => {
      const gone = (): void => resolve(false);
      this.#outgoing.once("close", gone);
      this.#outgoing.write(piece, (error) => {
        this.#outgoing.off("close", gone);
        resolve(!error);
      });
    });
  }

  get #isStale(): boolean {
    const isSilent = (this.#outgoing.socket?.bytesRead ?? 0) <= this.#readBefore;
    return this.#outgoing.reusedSocket && isSilent && this.#bodyLeft > 0;
  }

  #broken(error: Error): Error {
    if (this.#isStale) return new StaleConnection(error.message, { cause: error });
    const code = codeOf(error);
    if (code.startsWith("HPE_") && code !== "HPE_INVALID_EOF_STATE") {
      const message = `❌ ${shownUrl(this.#url)} answered what is not HTTP: ${reason(error)}`;
      return new UnexpectedAnswer(message, { cause: error });
    }
    const message = `❌ The connection to ${shownUrl(this.#url)} failed: ${lineReason(error)}`;
    return new ConnectionFailed(message, { cause: error });
  }
}

function started({ url, method, headers, body }: Request, keepAlive: boolean): http.ClientRequest {
  const protocol = url.protocol === "https:" ? "https:" : "http:";
  const about = body ? { "content-type": body.type, "content-length": String(body.size) } : {};
  const agent = keepAlive ? AGENTS[protocol] : false;
  const options = { method, headers: { ...headers, ...about }, agent };
  try {
    return (protocol === "https:" ? https : http).request(url, options);
  } catch (error) {
    // For instance a % in the name of the URL's user that stands for nothing.
    throw new InputError(`${shownUrl(url)} cannot be asked: ${reason(error)}`, { cause: error });
  }
}

async function unlessFails(sending: Promise<void>): Promise<never> {
  await sending;
  return new Promise(() => {});
}

// A line that breaks here ends the sending and no more: there may be an answer to read, a server
// that refuses a large upload closes early.
async function send(line: Line, { body, telling }: Request): Promise<void> {
  const told = telling?.();
  let sent = 0;
  told?.step(sent);
  for await (const piece of body?.pieces() ?? []) {
    // Lets an answer that has come be seen before more is written.
    await setImmediate();
    if (line.isDone || !(await line.takes(piece))) return;
    sent += piece.byteLength;
    told?.step(sent);
  }
  line.end();
}
