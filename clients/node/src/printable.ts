/* Text of others, fit to stand in a message of ours. */

// Controls, line and paragraph separators, and what turns the direction of writing around.
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\uFFFD]+/gu;
const NAME_CHARACTERS = 120;
const REASON_CHARACTERS = 200;

/** Return text on one line, without what no terminal should get. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, " ").replace(/\s+/gu, " ").trim();
}

/** Return at most so many characters of a text; … stands for the rest. */
export function shown(text: string, characters: number): string {
  const all = Array.from(text.slice(0, 2 * characters + 2));
  return all.length <= characters ? all.join("") : `${all.slice(0, characters - 1).join("")}…`;
}

/** Return a name in quotes, as messages show it. */
export function quoted(name: string): string {
  return `'${shown(printable(name), NAME_CHARACTERS)}'`;
}

/** Return what an error of Node's or of a stream says, on one line. */
export function reason(error: unknown): string {
  if (error instanceof AggregateError && !error.message) {
    return [...new Set(error.errors.map(reason))].join("; ");
  }
  if (!(error instanceof Error)) return "no reason was given";
  return shown(printable(error.message), REASON_CHARACTERS) || codeOf(error) || error.name;
}

/** Return the code of an error of Node's, ECONNRESET for instance; empty when it has none. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error)) return "";
  return typeof error.code === "string" ? error.code : "";
}
