// Sentences with blanks.

/**
 * Return a sentence with its blanks filled in.
 * @param {string} sentence @param {Record<string, string>} values What goes in the place of each `%(…)s`.
 */
export const filled = (sentence, values) =>
  sentence.replace(/%\((\w+)\)s/g, (blank, name) => values[name] ?? blank);
