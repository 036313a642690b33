// Waits on the page of a purchase until the server has heard of the payment; a minute at most.

/** The pauses between two looks, in milliseconds: they grow, and add up to a minute. */
const PAUSES_MS = [1000, 1500, 2000, 3000, 4000, 5000, 6000, 7500, 9000, 10000, 11000];
const ANSWER_MS = 10000;

const region = /** @type {HTMLElement} */ (document.getElementById("purchase"));

/** @param {number} milliseconds */
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/**
 * Ask what became of the purchase.
 * @returns {Promise<Document | null>} null when there was no answer, or that of another page.
 */
async function look() {
  try {
    const answer = await fetch(/** @type {string} */ (region.dataset.source), {
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}

/** Say that it takes longer, in the place of what was said before. */
function sayLate() {
  const text = /** @type {HTMLTemplateElement} */ (document.getElementById("late"));
  const waiting = region.querySelector("[data-waiting]");
  waiting?.replaceWith(text.content.cloneNode(true));
}

async function wait() {
  for (const milliseconds of PAUSES_MS) {
    await pause(milliseconds);
    const told = await look();
    if (told && !told.querySelector("[data-waiting]")) {
      region.replaceChildren(...told.body.childNodes);
      return;
    }
  }
  sayLate();
}

if (region.querySelector("[data-waiting]")) await wait();
