/* The same for `import`: one set of classes, whichever way the package was loaded. */

import commonJs, { type Whole } from "./index.js";

const whole: Whole = commonJs.default;

export * from "./index.js";
export { whole as default };
