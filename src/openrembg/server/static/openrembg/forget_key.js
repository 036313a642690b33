// Whoever signs out, or is gone, leaves no key behind in this tab.

import { keep } from "./tab_key.js";

const leaving = document.querySelector("form[data-leaving]");
if (leaving === null) keep(null);
else leaving.addEventListener("submit", () => keep(null));
