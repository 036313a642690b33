// On a narrow screen the menu of pages is one line: bring the present page into its view.

const present = /** @type {HTMLElement} */ (document.querySelector(".side [aria-current]"));
const line = /** @type {HTMLElement} */ (present.closest("ul"));
const place = present.getBoundingClientRect();
const view = line.getBoundingClientRect();
line.scrollLeft += place.left + place.width / 2 - (view.left + view.width / 2);
