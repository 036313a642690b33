/* Which error an answer that is no success stands for. */

import { STATUS_CODES, type IncomingHttpHeaders } from "node:http";

import * as errors from "./errors.js";
import { headerText, requestId, retryAfterSeconds } from "./facts.js";
import { printable, shown } from "./printable.js";

type ErrorClass = new (refusal: errors.Refusal) => errors.APIError;

const TEXT_CHARACTERS = 200;

const BY_CODE: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ["invalid_request", errors.InvalidRequest],
  ["bad_request", errors.BadRequest],
  ["both_credentials", errors.BothCredentials],
  ["idempotency_key_too_long", errors.IdempotencyKeyTooLong],
  ["invalid_signature", errors.BadSignature],
  ["invalid_event", errors.NotAnEvent],
  ["invalid_api_key", errors.InvalidKey],
  ["invalid_user_token", errors.InvalidToken],
  ["not_logged_in", errors.NotLoggedIn],
  ["email_not_verified", errors.EmailNotVerified],
  ["csrf_failed", errors.CsrfFailed],
  ["not_found", errors.NotFound],
  ["method_not_allowed", errors.MethodNotAllowed],
  ["idempotency_key_in_use", errors.StillRunning],
  ["body_too_large", errors.BodyTooLarge],
  ["idempotency_key_reused", errors.OtherPayload],
  ["rate_limited", errors.TooFast],
  ["daily_limit", errors.DailyLimit],
  ["monthly_limit", errors.MonthlyLimit],
  ["key_cap", errors.KeyCap],
  ["internal", errors.Internal],
  ["unavailable", errors.Unavailable],
  ["busy", errors.Busy],
  ["not_ready", errors.NotReady],
  ["database_away", errors.DatabaseAway],
  ["spool_full", errors.SpoolFull],
]);

// For servers that send no code: the sentences that the API's contract fixes.
const BY_MESSAGE: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ["This is a mistake: Cannot use both API key and user token", errors.BothCredentials],
  ["invalid api key", errors.InvalidKey],
  ["invalid user token", errors.InvalidToken],
  ["Email address not verified – please check your inbox", errors.EmailNotVerified],
  ["You're making requests too quickly, Please Upgrade or slow down.", errors.TooFast],
  ["You've reached your daily limit. Please sign up for more access.", errors.DailyLimit],
  [
    "You've reached your monthly limit. Consider purchasing more credits.",
    errors.MonthlyLimit,
  ],
]);

const BY_STATUS: ReadonlyMap<number, ErrorClass> = new Map<number, ErrorClass>([
  [400, errors.InvalidRequest],
  [401, errors.InvalidKey],
  [404, errors.NotFound],
  [405, errors.MethodNotAllowed],
  [409, errors.StillRunning],
  [413, errors.BodyTooLarge],
  [422, errors.OtherPayload],
  [429, errors.RateLimited],
  [500, errors.Internal],
  [503, errors.Unavailable],
]);

/** Return the error that a 4xx or 5xx answer stands for; it need not come from the API itself. */
export function refused(
  status: number,
  headers: IncomingHttpHeaders,
  body: Buffer,
): errors.APIError {
  const said = isEncoded(headers) ? null : apiBody(body);
  const refusal: errors.Refusal = {
    status,
    error: said?.error ?? foreignText(status, headers, body),
    body: said ? body.toString("utf8") : foreignText(status, headers, body),
    field: text(said?.field),
    details: problems(said?.details),
    code: text(said?.code),
    requestId: text(said?.request_id) ?? requestId(headers),
    retryAfter: retryAfterSeconds(headers, Date.now()),
  };
  return new (errorClass(refusal))(refusal);
}

function errorClass({ status, code, error }: errors.Refusal): ErrorClass {
  const known = code === null ? BY_MESSAGE.get(error) : BY_CODE.get(code);
  const fallback = status >= 500 ? errors.ServerFailed : errors.APIError;
  return known ?? BY_STATUS.get(status) ?? fallback;
}

interface ApiBody {
  readonly error: string;
  readonly field?: unknown;
  readonly details?: unknown;
  readonly code?: unknown;
  readonly request_id?: unknown;
}

function apiBody(body: Buffer): ApiBody | null {
  try {
    const said: unknown = JSON.parse(body.toString("utf8"));
    return isApiBody(said) ? said : null;
  } catch {
    return null;
  }
}

function isApiBody(said: unknown): said is ApiBody {
  return typeof said === "object" && said !== null && "error" in said
    && typeof said.error === "string";
}

// What a proxy says is cut and cleaned: it may be a page of HTML, or no text at all.
function foreignText(status: number, headers: IncomingHttpHeaders, body: Buffer): string {
  const said = isEncoded(headers) ? "" : printable(body.toString("utf8"));
  return shown(said, TEXT_CHARACTERS) || (STATUS_CODES[status] ?? "");
}

function isEncoded(headers: IncomingHttpHeaders): boolean {
  return (headerText(headers, "content-encoding") ?? "identity") !== "identity";
}

function problems(given: unknown): readonly errors.FieldProblem[] | null {
  if (!Array.isArray(given)) return null;
  return given.filter(isProblem).map(({ field, message }) => ({ field, message }));
}

function isProblem(given: unknown): given is errors.FieldProblem {
  if (typeof given !== "object" || given === null) return false;
  const { field, message } = given as Partial<Record<string, unknown>>;
  return typeof field === "string" && typeof message === "string";
}

function text(given: unknown): string | null {
  return typeof given === "string" && given !== "" ? given : null;
}
