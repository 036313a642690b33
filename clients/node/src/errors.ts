/*
 * What a call can end with, if not with a picture.
 *
 *     RembgError                      the root; alone: the cut-out could not be put on this disk
 *     ├── InputError                  the picture or an argument cannot be used; nothing was sent,
 *     │                               or not all of it
 *     ├── ConnectionFailed            the server cannot be reached, or the line broke
 *     │   └── TimedOut                the call's time is over
 *     ├── UnexpectedAnswer            what came is not what this API sends
 *     └── APIError                    the server refused
 *         ├── InvalidRequest     400  a field or the picture is wrong
 *         │   ├── BadRequest
 *         │   ├── BothCredentials
 *         │   ├── IdempotencyKeyTooLong
 *         │   ├── BadSignature        webhooks alone, like the next
 *         │   └── NotAnEvent
 *         ├── InvalidKey         401
 *         ├── InvalidToken       401
 *         ├── NotLoggedIn        401
 *         ├── EmailNotVerified   403
 *         ├── CsrfFailed         403
 *         ├── NotFound           404
 *         ├── MethodNotAllowed   405
 *         ├── StillRunning       409
 *         ├── BodyTooLarge       413
 *         ├── OtherPayload       422
 *         ├── RateLimited        429
 *         │   ├── TooFast             in a moment again; `retryAfter` says when
 *         │   ├── DailyLimit
 *         │   └── MonthlyLimit
 *         │       └── KeyCap
 *         └── ServerFailed       5xx
 *             ├── Internal       500
 *             └── Unavailable    503
 *                 ├── Busy
 *                 ├── NotReady
 *                 ├── DatabaseAway
 *                 └── SpoolFull
 */

import { codeOf } from "./printable.js";

// How the published client's messages begin: its errors, and its complaint about a missing key.
const MARKS = ["❌ ", " ⚠️"];

/** The root of all errors of this package. Its messages begin with ❌. */
export class RembgError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    const isMarked = MARKS.some((mark) => message.startsWith(mark));
    // A cause that is undefined would be shown as one.
    super(isMarked ? message : `❌ ${message}`, options?.cause === undefined ? undefined : options);
    this.name = new.target.name;
  }
}

/** The picture or an argument cannot be used. */
export class InputError extends RembgError {
  /** What Node calls the reason, for instance ENOENT; only there when Node gave one. */
  declare readonly code?: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    const code = codeOf(options?.cause);
    if (code) this.code = code;
  }
}

/** The server cannot be reached, or the line to it broke. */
export class ConnectionFailed extends RembgError {
  /** What Node calls the reason, for instance ECONNREFUSED; only there when Node gave one. */
  declare readonly code?: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    const code = codeOf(options?.cause);
    if (code) this.code = code;
  }
}

/** The call's time is over, its retries and waits included. */
export class TimedOut extends ConnectionFailed {}

/** What came is not what this API sends. */
export class UnexpectedAnswer extends RembgError {}

/** One of several fields that are wrong. */
export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

/** What an error's answer says. */
export interface Refusal {
  /** The HTTP status. */
  readonly status: number;
  /** The server's sentence. */
  readonly error: string;
  /** The answer's body as it was sent, or the begin of one that is not the API's. */
  readonly body: string;
  /** The field that is wrong, when it is one. */
  readonly field: string | null;
  /** All fields that are wrong, when there are several. */
  readonly details: readonly FieldProblem[] | null;
  /** The stable code, which older servers do not send. */
  readonly code: string | null;
  /** What the server calls this request in its log. */
  readonly requestId: string | null;
  /** After so many seconds the server wants to be asked again. */
  readonly retryAfter: number | null;
}

/** The server refused. The message is the published client's: ❌, the status, the body. */
export class APIError extends RembgError implements Refusal {
  readonly status: number;
  readonly error: string;
  readonly body: string;
  readonly field: string | null;
  readonly details: readonly FieldProblem[] | null;
  readonly code: string | null;
  readonly requestId: string | null;
  readonly retryAfter: number | null;

  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(`❌ ${refusal.status} ${refusal.body}`.trimEnd(), options);
    this.status = refusal.status;
    this.error = refusal.error;
    this.body = refusal.body;
    this.field = refusal.field;
    this.details = refusal.details;
    this.code = refusal.code;
    this.requestId = refusal.requestId;
    this.retryAfter = refusal.retryAfter;
  }
}

/** One or more fields, the picture among them, are wrong. */
export class InvalidRequest extends APIError {}

/** The request is wrong as a whole, for instance in its Host header. */
export class BadRequest extends InvalidRequest {}

/** An API key and a user token came at once. */
export class BothCredentials extends InvalidRequest {}

/** The Idempotency-Key has more characters than it may have. */
export class IdempotencyKeyTooLong extends InvalidRequest {}

/** A webhook that Stripe did not sign. */
export class BadSignature extends InvalidRequest {}

/** A webhook that makes no sense. */
export class NotAnEvent extends InvalidRequest {}

/** No account has this key. */
export class InvalidKey extends APIError {}

/** No user has this token. */
export class InvalidToken extends APIError {}

/** No session, on a route that wants one. */
export class NotLoggedIn extends APIError {}

/** The account's e-mail address is not confirmed yet. */
export class EmailNotVerified extends APIError {}

/** A session came without the proof that a page of the server's sent it. */
export class CsrfFailed extends APIError {}

/** There is no such route: most likely the base URL is wrong. */
export class NotFound extends APIError {}

/** The route is there, for other methods. */
export class MethodNotAllowed extends APIError {}

/** The first request under this idempotency key is not answered yet. */
export class StillRunning extends APIError {}

/** More bytes than any request may have. */
export class BodyTooLarge extends APIError {}

/** The idempotency key stood for another request before. */
export class OtherPayload extends APIError {}

/** A limit is reached. */
export class RateLimited extends APIError {}

/** More requests a minute than allowed. */
export class TooFast extends RateLimited {}

/** An anonymous caller's cut-outs of the day are used up. */
export class DailyLimit extends RateLimited {}

/** The account's credits are used up. */
export class MonthlyLimit extends RateLimited {}

/** The key has used what it may use in a month. */
export class KeyCap extends MonthlyLimit {}

/** The server, or what stands before it, failed. */
export class ServerFailed extends APIError {}

/** The server's fault. */
export class Internal extends ServerFailed {}

/** Not now. */
export class Unavailable extends ServerFailed {}

/** Every worker is busy. */
export class Busy extends Unavailable {}

/** The model is still loading, or did not load. */
export class NotReady extends Unavailable {}

/** The server's database does not answer. */
export class DatabaseAway extends Unavailable {}

/** The server has no room for another upload. */
export class SpoolFull extends Unavailable {}
