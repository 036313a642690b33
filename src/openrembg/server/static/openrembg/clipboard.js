// Copies the text of an element.

/**
 * Copy an element's text.
 * @param {HTMLElement} source
 * @returns {Promise<boolean>} whether it is in the clipboard; where not, it stays selected.
 */
export async function copy(source) {
  const text = (source.textContent ?? "").trim();
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages over plain http have no clipboard, but the old command.
    getSelection()?.selectAllChildren(source);
    return document.execCommand("copy");
  }
}
