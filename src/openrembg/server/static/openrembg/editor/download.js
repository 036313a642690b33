// Downloads, as the page knows them; files.js, which makes them, is fetched when the work begins.

const files = () => import("./files.js");

/** @type {typeof import("./files.js").downloadOne} */
export const downloadOne = async (...wish) => (await files()).downloadOne(...wish);

/** @type {typeof import("./files.js").downloadAll} */
export const downloadAll = async (...wish) => (await files()).downloadAll(...wish);
