// The page's sentences, numbers and percentages in the reader's language.

const language = document.documentElement.lang;
const whole = new Intl.NumberFormat(language);
const oneDigit = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const percentage = new Intl.NumberFormat(language, { style: "percent" });

/** @typedef {Record<string, string>} Words sentences by their names */

/**
 * Read sentences that the page brings along.
 * @param {string} id
 * @returns {Words}
 */
export function wordsOf(id) {
  return JSON.parse(document.getElementById(id)?.textContent ?? "{}");
}

const words = wordsOf("editor-words");

/**
 * Return a sentence with its blanks filled in.
 * @param {string} name @param {Record<string, string>} [values]
 */
export function say(name, values = {}) {
  return filled(words[name], values);
}

/**
 * @param {string} sentence
 * @param {Record<string, string>} values what goes in the place of each `%(…)s`
 */
export function filled(sentence, values) {
  return sentence.replace(/%\((\w+)\)s/g, (blank, key) => values[key] ?? blank);
}

/** The order of names in the reader's language: "9" comes before "10". */
export const { compare } = new Intl.Collator(language, { numeric: true });

/** @param {number} value */
export const number = (value) => whole.format(value);

/** @param {number} value shown with one digit after the point at most */
export const decimal = (value) => oneDigit.format(value);

/** @param {number} fraction 0 to 1 */
export const percent = (fraction) => percentage.format(Math.floor(fraction * 100) / 100);
