// What an answer of /rmbg means for the picture, and for those that follow it.

import { number } from "./words.js";

/** @typedef {import("./item.js").Trouble} Trouble */
/** @typedef {"rate" | "busy"} Pause */
/**
 * @typedef {"daily" | "monthly" | "unconfirmed" | "signed_out" | "stale" | "closed" | "network"}
 *   Stop
 */

/**
 * @typedef {object} Done
 * @property {"done"} kind
 * @property {Blob} cutout
 * @property {boolean} detected
 * @property {import("./item.js").Charged} charged
 * @property {number} left requests that may still be sent in this minute
 * @property {number} seconds until the minute is over
 */

/**
 * @typedef {Done
 *   | {kind: "wait", reason: Pause, seconds: number}
 *   | {kind: "stop", reason: Stop}
 *   | {kind: "failed", trouble: Trouble}
 *   | {kind: "expired"}
 *   | {kind: "lost"}
 *   | {kind: "removed"}} Outcome
 */

/**
 * An answer that has come.
 * @typedef {object} Answer
 * @property {number} status
 * @property {Blob} body
 * @property {(name: string) => string} header an empty text for one that is missing
 */

const NO_LIMIT = 2 ** 31 - 1;
const LOOK_AGAIN_S = 5;
const MOST_PIXELS = 10_000;

/** Raised where no answer for the picture can come. */
export class Refused extends Error {
  /** @param {Outcome} outcome */
  constructor(outcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

/** @param {Answer} answer @returns {Promise<Outcome>} */
export async function outcomeOf(answer) {
  if (answer.status === 200) return done(answer);
  const error = await errorOf(answer);
  if (answer.status === 401) return { kind: "expired" };
  if (answer.status === 403) return { kind: "stop", reason: "unconfirmed" };
  if (answer.status === 429) return limited(answer, error.code);
  // A proxy speaks for a server that is away.
  if (answer.status > 501 && !error.code) return { kind: "lost" };
  if (answer.status === 503 || answer.status === 409) return wait("busy", answer);
  return { kind: "failed", trouble: troubleOf(answer.status, error.english) };
}

/** @param {Answer} answer @returns {Done} */
function done(answer) {
  const detected = answer.header("X-Foreground-Detected") === "true";
  const minute = limitOf(answer, "minute");
  return {
    kind: "done",
    cutout: answer.body,
    detected,
    charged: detected ? chargedBy(answer) : "nothing",
    left: minute.left,
    seconds: minute.seconds,
  };
}

/** @param {Answer} answer @returns {import("./item.js").Charged} */
function chargedBy(answer) {
  if (answer.header("Idempotent-Replayed")) return "paid";
  if (answer.header("X-Credits-Source") !== "anonymous") return "credit";
  return limitOf(answer, "day").most < NO_LIMIT ? "today" : "";
}

/** @param {Answer} answer @param {string} code @returns {Outcome} */
function limited(answer, code) {
  const policy = code === "rate_limited" ? "minute" : "day";
  if (code !== "monthly_limit" && limitOf(answer, policy).most === 0) {
    return { kind: "stop", reason: "closed" };
  }
  if (code === "rate_limited") return wait("rate", answer);
  return { kind: "stop", reason: code === "daily_limit" ? "daily" : "monthly" };
}

/** @param {Pause} reason @param {Answer} answer @returns {Outcome} */
function wait(reason, answer) {
  return { kind: "wait", reason, seconds: Number(answer.header("Retry-After")) || LOOK_AGAIN_S };
}

/**
 * Return one limit of the headers RateLimit-Policy and RateLimit (IETF draft ratelimit-headers).
 * @param {Answer} answer @param {string} policy
 */
function limitOf(answer, policy) {
  const limits = new RegExp(`"${policy}";q=(\\d+)`).exec(answer.header("RateLimit-Policy"));
  const stands = new RegExp(`"${policy}";r=(\\d+);t=(\\d+)`).exec(answer.header("RateLimit"));
  return {
    most: Number(limits?.[1] ?? NO_LIMIT),
    left: Number(stands?.[1] ?? NO_LIMIT),
    seconds: Number(stands?.[2] ?? 0),
  };
}

/** @param {Answer} answer @returns {Promise<{code: string, english: string}>} */
async function errorOf(answer) {
  try {
    const { code, error, details } = JSON.parse(await answer.body.text());
    const messages = details?.map((/** @type {{message: string}} */ detail) => detail.message);
    return { code, english: messages?.join(" ") ?? error };
  } catch {
    return { code: "", english: "" }; // A proxy on the way answers in its own shape.
  }
}

/**
 * The messages are part of the API's contract; nothing else tells one broken rule from another.
 * @param {number} status @param {string} english
 * @returns {Trouble}
 */
function troubleOf(status, english) {
  if (status >= 500) return { word: "server", english, again: true };
  if (/^Image (width|height) \(/.test(english)) {
    return { word: "sides", values: { most: number(MOST_PIXELS) }, english, again: false };
  }
  if (english.startsWith("File does not appear")) return { word: "broken", english, again: false };
  return { word: "refused", english, again: false };
}
