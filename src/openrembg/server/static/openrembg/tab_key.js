// The reader's key: kept in this tab alone, for the examples and the console.

const ENTRY = "openrembg.key";

/** @returns {string | null} */
export function kept() {
  try {
    return sessionStorage.getItem(ENTRY);
  } catch {
    return null; // The reader's browser keeps nothing for this site.
  }
}

/** @param {string | null} key null: none any more */
export function keep(key) {
  try {
    if (key === null) sessionStorage.removeItem(ENTRY);
    else sessionStorage.setItem(ENTRY, key);
  } catch {
    // Then only the page at hand knows it.
  }
}
