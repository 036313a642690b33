/* One picture to the server, its cut-out back. */

import { routeUrl } from "./address.js";
import { adopted } from "./adopt.js";
import { refuseFailure } from "./answer.js";
import { callHeaders, idempotencyHeader, type Credentials, type HeaderFields } from "./credentials.js";
import { refuseFolder, toBase64, toFile } from "./cutout.js";
import { checkedSignal, checkedTimeout, Ending } from "./ending.js";
import { InputError } from "./errors.js";
import { exchanged } from "./exchange.js";
import { openedPicture } from "./input.js";
import type { InputImage } from "./input-image.js";
import { form } from "./multipart.js";
import {
  checkedOptions,
  fileNameEnd,
  formFields,
  mediaTypeOf,
  type Field,
  type Options,
} from "./options.js";
import type { Picture } from "./picture.js";
import { telling, type ProgressCallback, type Telling } from "./progress.js";
import type { Base64CutOut, FileCutOut } from "./result.js";
import { checkedRetries, retried } from "./retry.js";

/** How a call is made, whatever it asks for. */
export interface CallSettings extends Credentials {
  /** The server; else REMBG_API_URL, else http://127.0.0.1:8000. */
  baseUrl?: string | URL | undefined;
  /** Milliseconds for the whole call, its retries and waits included; 300,000 when left out. */
  timeout?: number | undefined;
  /** How often a failure that may pass is tried again; 3 when left out, 0 for never. */
  retries?: number | undefined;
  /** Ends the call when it is aborted; the call rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** What `rembg` is asked. */
export interface RembgRequest extends CallSettings {
  inputImage: InputImage;
  options?: Options | undefined;
  onUploadProgress?: ProgressCallback | undefined;
  onDownloadProgress?: ProgressCallback | undefined;
  /** Tells the server that calls are the same, so that it charges once; else one a call. */
  idempotencyKey?: string | undefined;
}

export const DEFAULT_TIMEOUT_MS = 300_000;

/**
 * Remove a picture's background.
 *
 * The cut-out is a temporary file, which `cleanup` deletes, or a data URL (`returnBase64`).
 * Rejects with RembgError or one of its classes, with the reason of an aborted signal, or with what
 * a progress callback raises; a stream that was handed over is closed then.
 */
export async function rembg(request: RembgRequest): Promise<CutOut> {
  const letGo = adopted(request?.inputImage);
  try {
    return await checkedCall(checked(request));
  } catch (error) {
    letGo();
    throw error;
  }
}

type CutOut = Base64CutOut | FileCutOut;

async function checkedCall(call: Call): Promise<CutOut> {
  const ending = new Ending(call.timeoutMs, call.signal);
  return ending.during(async () => {
    if (!call.options.returnBase64) await refuseFolder();
    return approved(await answered(call, ending), ending);
  });
}

// What nobody gets must not stay on the disk.
async function approved(cutOut: CutOut, ending: Ending): Promise<CutOut> {
  try {
    await ending.heard();
    return cutOut;
  } catch (error) {
    await cutOut.cleanup?.();
    throw error;
  }
}

interface Call {
  readonly url: URL;
  readonly headers: HeaderFields;
  readonly fields: readonly Field[];
  readonly options: Options;
  readonly inputImage: unknown;
  readonly onUpload: ProgressCallback | undefined;
  readonly onDownload: ProgressCallback | undefined;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly signal: AbortSignal | undefined;
}

function checked(request: RembgRequest): Call {
  refuseNoObject(request);
  const headers = callHeaders(request);
  const options = checkedOptions(request.options);
  return {
    url: routeUrl(request.baseUrl, "/rmbg"),
    headers: { ...headers, ...idempotencyHeader(request.idempotencyKey, headers) },
    fields: formFields(options),
    options,
    inputImage: request.inputImage,
    onUpload: callback("onUploadProgress", request.onUploadProgress),
    onDownload: callback("onDownloadProgress", request.onDownloadProgress),
    timeoutMs: checkedTimeout(request.timeout, DEFAULT_TIMEOUT_MS),
    retries: checkedRetries(request.retries),
    signal: checkedSignal(request.signal),
  };
}

/** Refuse a call without its object of arguments. Raises InputError. */
export function refuseNoObject(request: unknown): void {
  if (typeof request !== "object" || request === null) {
    throw new InputError("The arguments must be given as one object.");
  }
}

function callback(name: string, given: unknown): ProgressCallback | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === "function") return given as ProgressCallback;
  throw new InputError(`${name} must be a function.`);
}

async function answered(call: Call, ending: Ending): Promise<CutOut> {
  const picture = await openedPicture(call.inputImage, ending.signal);
  try {
    return await retried(() => attempt(call, picture, ending), call.retries, ending);
  } finally {
    await picture.close();
  }
}

async function attempt(
  { url, headers, fields, options, onUpload, onDownload }: Call,
  picture: Picture,
  ending: Ending,
): Promise<CutOut> {
  const body = form(fields, picture);
  const heed = (outcome: unknown): void => ending.heed(outcome);
  const upload = (): Telling => telling({ callback: onUpload, heed }, "upload", body.size);
  const download = { callback: onDownload, heed };
  const type = mediaTypeOf(options);
  const request = { url, method: "POST", headers, body, telling: upload };
  return exchanged(request, ending.signal, async (answer) => {
    await refuseFailure(answer, url);
    if (options.returnBase64) return toBase64(answer, type, download);
    return toFile(answer, type, fileNameEnd(options), download);
  });
}
