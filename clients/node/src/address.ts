/* Where the server is. */

import { InputError } from "./errors.js";
import { printable, shown } from "./printable.js";

const DEFAULT_BASE = "http://127.0.0.1:8000";
// The route is known under two addresses, and given by mistake as a part of the base.
const ROUTE = /(\/+api)?\/+rmbg$/;
const SHOWN_CHARACTERS = 200;

/**
 * Return the address of one of the API's routes, for instance "/rmbg".
 *
 * given: the base URL that the caller gave; else REMBG_API_URL counts, else this machine.
 * Raises InputError.
 */
export function routeUrl(given: unknown, route: string): URL {
  const url = baseUrl(given);
  const prefix = url.pathname.replace(/\/+$/, "").replace(ROUTE, "").replace(/\/+$/, "");
  url.pathname = prefix + route;
  return url;
}

/** Return an address as messages show it: without its password, its query, and not too long. */
export function shownUrl(url: URL): string {
  return shown(printable(`${url.origin}${url.pathname}`), SHOWN_CHARACTERS);
}

/** Return whether an address is one of HTTP's. */
export function isHttp(url: URL): boolean {
  return url.protocol === "http:" || url.protocol === "https:";
}

function baseUrl(given: unknown): URL {
  const [name, text] = chosen(given);
  const url = parsed(text);
  if (!url || !isHttp(url)) {
    throw new InputError(`${name} must be an address that begins with http:// or https://.`);
  }
  if (url.search || url.hash) {
    throw new InputError(`${name} must be an address without ? and #.`);
  }
  return url;
}

function chosen(given: unknown): [string, string] {
  if (given instanceof URL) return ["baseUrl", given.href];
  if (typeof given === "string") return ["baseUrl", given];
  if (given !== undefined && given !== null) throw new InputError("baseUrl must be a string.");
  return ["REMBG_API_URL", process.env["REMBG_API_URL"]?.trim() || DEFAULT_BASE];
}

function parsed(text: string): URL | null {
  try {
    // "localhost:8000" parses too, with localhost as its protocol; isHttp refuses it.
    return new URL(text);
  } catch {
    return null;
  }
}
