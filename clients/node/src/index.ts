/// <reference types="node" preserve="true" />
/* The client of the openrembg API. */

import { rembg } from "./call.js";
import { usage } from "./usage.js";

/** The function, with the exports on it: what `import` gave of the published package. */
export interface Whole {
  (...args: Parameters<typeof rembg>): ReturnType<typeof rembg>;
  rembg: typeof rembg;
  default: Whole;
  usage: typeof usage;
}

const whole: Whole = Object.assign(rembg, { rembg, usage }) as Whole;
whole.default = whole;

export { rembg, usage, whole as default };
export * from "./errors.js";
export type { GivenHeaders } from "./credentials.js";
export type { CallSettings, RembgRequest } from "./call.js";
export type { BlobLike, InputImage, WebStreamLike } from "./input-image.js";
export type { Options } from "./options.js";
export type { ProgressCallback, ProgressEvent } from "./progress.js";
export type { Base64CutOut, Box, CutOutInfo, FileCutOut } from "./result.js";
export type {
  BillingCycle,
  BillingCycles,
  Period,
  Usage,
  UsageRequest,
  UsageWithBillingCycle,
} from "./usage.js";
