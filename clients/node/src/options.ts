/* What shall be made of the picture, as fields of the API's form. */

import { InputError } from "./errors.js";
import { quoted } from "./printable.js";

/** What shall be made of the picture. What is left out is the API's default. */
export interface Options {
  /** Any case; "webp" when left out. It is the end of the file's name too, as it is written. */
  format?: string | null | undefined;
  /** Give back a data URL instead of a file. */
  returnBase64?: boolean | undefined;
  /** Give back the alpha matte alone, as a grey picture. */
  returnMask?: boolean | undefined;
  /** Pixels, 1 to 10000; 0 means unset. The picture fits into w × h with its aspect kept. */
  w?: number | undefined;
  h?: number | undefined;
  /** Force exactly w × h. */
  exact_resize?: boolean | undefined;
  /** Degrees counter-clockwise, -360 to 360. */
  angle?: number | undefined;
  /** Pad the canvas so that a turned picture is not cropped; true when left out. */
  expand?: boolean | undefined;
  /** #RGB, #RGBA, #RRGGBB, #RRGGBBAA or a CSS colour name. */
  bg_color?: string | undefined;
}

/** A field of a form: its name and its text. */
export type Field = readonly [string, string];

const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ["png", "image/png"],
  ["jpeg", "image/jpeg"],
  ["jpg", "image/jpeg"],
  ["webp", "image/webp"],
  ["bmp", "image/bmp"],
]);
const DEFAULT_FORMAT = "WEBP";

/** Return the fields that are not the API's default. Raises InputError; the server checks more. */
export function formFields(options: Options): readonly Field[] {
  return [
    ...given("format", options.format),
    ...given("w", options.w).filter(isSize),
    ...given("h", options.h).filter(isSize),
    ...given("exact_resize", options.exact_resize).filter(isTrue),
    ...given("mask", options.returnMask).filter(isTrue),
    ...given("angle", options.angle),
    ...given("expand", options.expand),
    ...given("bg_color", options.bg_color),
  ];
}

/** Return the end of the file's name, which is the format as the caller wrote it. */
export function fileNameEnd({ format }: Options): string {
  return `.${format || DEFAULT_FORMAT}`;
}

/** Return the media type that the cut-out must have. */
export function mediaTypeOf({ format }: Options): string {
  return MEDIA_TYPES.get((format || DEFAULT_FORMAT).toLowerCase()) ?? "";
}

/** Return the options after a first look. Raises InputError. */
export function checkedOptions(options: unknown): Options {
  if (options === undefined || options === null) return {};
  if (typeof options !== "object") throw new InputError("options must be an object.");
  const { format } = options as Options;
  if (!format) return options;
  if (typeof format !== "string") throw new InputError("'format' must be a text.");
  if (MEDIA_TYPES.has(format.toLowerCase())) return options;
  const allowed = "Allowed formats: PNG, JPEG, WEBP, BMP";
  throw new InputError(`Invalid format ${quoted(format)}. ${allowed}`);
}

function given(name: string, value: unknown): Field[] {
  if (value === undefined || value === null || value === "") return [];
  if (["string", "number", "boolean", "bigint"].includes(typeof value)) {
    return [[name, String(value)]];
  }
  throw new InputError(`${quoted(name)} must be a text, a number or a boolean.`);
}

function isSize([, text]: Field): boolean {
  return text !== "0";
}

// Anything else that is no boolean goes to the server, which says so.
function isTrue([, text]: Field): boolean {
  return text !== "false";
}
