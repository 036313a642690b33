/* What an account has and has used. */

import type { IncomingMessage } from "node:http";

import { routeUrl } from "./address.js";
import { refuseFailure, refuseOtherThanJson, unexpected } from "./answer.js";
import { DEFAULT_TIMEOUT_MS, refuseNoObject, type CallSettings } from "./call.js";
import { callHeaders } from "./credentials.js";
import { checkedSignal, checkedTimeout, Ending } from "./ending.js";
import { InputError } from "./errors.js";
import { chunks, exchanged } from "./exchange.js";
import { checkedRetries, retried } from "./retry.js";

/** What `usage` is asked. Without year, month and periodStartUnix: this month, in UTC. */
export interface UsageRequest extends CallSettings {
  year?: number | undefined;
  /** 1 to 12. */
  month?: number | undefined;
  /** The begin of a billing period: seconds since 1970, or a Date. */
  periodStartUnix?: number | Date | undefined;
  /** Tell about the billing period too. */
  billingCycle?: boolean | undefined;
  /** List all periods, and nothing else. */
  listBillingCycles?: boolean | undefined;
}

/** An account's plan, and what was used of it. */
export interface Usage {
  /** The plan's name: free text. */
  readonly membership: string;
  /** What the plan includes in a period, not what is left. */
  readonly credits: number;
  readonly prepaidCredits: number;
  /** Included credits that the web editor used. */
  readonly app_usage: number;
  /** Included credits that API keys used. */
  readonly api_usage: number;
}

/** A billing period. Times are in seconds since 1970. */
export interface Period {
  readonly periodStartUnix: number;
  readonly periodEndUnix: number;
  readonly appUsage: number;
  readonly apiUsage: number;
}

/** A billing period, and what is left in it. */
export interface BillingCycle extends Period {
  readonly includedCredits: number;
  readonly prepaidCredits: number;
  readonly usedIncludedCredits: number;
  readonly remainingIncludedCredits: number;
  /** True: Stripe's period; false: the calendar month. */
  readonly stripeBillingSynced: boolean;
}

/** What `usage` returns with `billingCycle: true`. */
export interface UsageWithBillingCycle extends Usage {
  readonly billingCycle: BillingCycle;
}

/** What `usage` returns with `listBillingCycles: true`; the newest is first. */
export interface BillingCycles {
  readonly billingCycles: readonly Period[];
}

type Any = Usage | UsageWithBillingCycle | BillingCycles;
type Plain = UsageRequest & {
  readonly billingCycle?: false | undefined;
  readonly listBillingCycles?: false | undefined;
};
type WithCycle = UsageRequest & {
  readonly billingCycle: true;
  readonly listBillingCycles?: false | undefined;
};
type Listing = UsageRequest & { readonly listBillingCycles: true };

const MAX_BYTES = 16 * 1024 * 1024;
const PERIOD = ["periodStartUnix", "periodEndUnix", "appUsage", "apiUsage"];
const CYCLE = [
  ...PERIOD,
  ...["includedCredits", "prepaidCredits", "usedIncludedCredits", "remainingIncludedCredits"],
];

/**
 * Return what an account has and has used. It needs an API key.
 *
 * Rejects with RembgError or one of its classes, or with the reason of an aborted signal.
 */
export async function usage(request: Listing): Promise<BillingCycles>;
export async function usage(request: WithCycle): Promise<UsageWithBillingCycle>;
export async function usage(request?: Plain): Promise<Usage>;
export async function usage(request: UsageRequest): Promise<Any>;
export async function usage(request: UsageRequest = {}): Promise<Any> {
  refuseNoObject(request);
  const url = withQuery(routeUrl(request.baseUrl, "/api/membership-usage"), request);
  const asked = { url, method: "GET", headers: callHeaders(request) };
  const retries = checkedRetries(request.retries);
  const timeoutMs = checkedTimeout(request.timeout, DEFAULT_TIMEOUT_MS);
  const ending = new Ending(timeoutMs, checkedSignal(request.signal));
  const attempt = (): Promise<Any> =>
    exchanged(asked, ending.signal, (answer) => read(answer, url, request));
  return ending.during(() => retried(attempt, retries, ending));
}

function withQuery(url: URL, request: UsageRequest): URL {
  const { year, month, periodStartUnix, billingCycle, listBillingCycles } = request;
  const asked = { year, month, periodStartUnix: seconds(periodStartUnix) };
  for (const [name, value] of Object.entries(asked)) {
    if (value !== undefined && value !== null) url.searchParams.set(name, text(name, value));
  }
  if (billingCycle) url.searchParams.set("expand", "billing_cycle");
  if (listBillingCycles) url.searchParams.set("listBillingCycles", "true");
  return url;
}

function seconds(given: number | Date | undefined): number | undefined {
  if (!(given instanceof Date)) return given;
  if (Number.isNaN(given.getTime())) throw new InputError("periodStartUnix is not a valid Date.");
  return Math.floor(given.getTime() / 1000);
}

function text(name: string, value: unknown): string {
  if (typeof value === "number" || typeof value === "string") return String(value);
  throw new InputError(`${name} must be a number.`);
}

async function read(answer: IncomingMessage, url: URL, request: UsageRequest): Promise<Any> {
  await refuseFailure(answer, url);
  refuseOtherThanJson(answer);
  const said = parsed(await whole(answer));
  if (request.listBillingCycles ? !isListing(said) : !isUsage(said, request.billingCycle)) {
    throw unexpected("JSON that does not tell an account's usage");
  }
  return said as Any;
}

async function whole(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks(answer)) {
    size += chunk.length;
    if (size > MAX_BYTES) throw unexpected("more JSON than an account's usage has");
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString("utf8");
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw unexpected("what is not JSON", error);
  }
}

function isUsage(said: unknown, withCycle: boolean | undefined): boolean {
  return isRecord(said) && typeof said["membership"] === "string"
    && hasIntegers(said, ["credits", "prepaidCredits", "app_usage", "api_usage"])
    && (!withCycle || isCycle(said["billingCycle"]));
}

function isCycle(said: unknown): boolean {
  return isRecord(said) && hasIntegers(said, CYCLE)
    && typeof said["stripeBillingSynced"] === "boolean";
}

function isListing(said: unknown): boolean {
  return isRecord(said) && Array.isArray(said["billingCycles"])
    && said["billingCycles"].every((period) => isRecord(period) && hasIntegers(period, PERIOD));
}

function hasIntegers(said: Record<string, unknown>, names: readonly string[]): boolean {
  return names.every((name) => Number.isSafeInteger(said[name]));
}

function isRecord(said: unknown): said is Record<string, unknown> {
  return typeof said === "object" && said !== null && !Array.isArray(said);
}
