// The stage, as the page knows it. What it is made of is fetched when the work begins.

/** @typedef {import("./controls.js").Look} Look */
/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./picture.js").Words} Words */

/**
 * Let the stage be used.
 * @param {HTMLElement} root See templates/editor/stage.html.
 * @param {Words} words
 * @param {{onEdit(item: Item): void}} events onEdit: the strokes of a picture have changed.
 * @returns {{show(item: Item, look: Look): Promise<void>, clear(): Promise<void>}}
 */
export function createStage(root, words, { onEdit }) {
  /** @type {Promise<import("./scene.js").Scene> | undefined} */
  let scene;
  const load = async () => {
    try {
      // Files are wanted later, when the connection may be gone.
      const [{ Scene }] = await Promise.all([import("./scene.js"), import("./files.js")]);
      return new Scene(root, words, onEdit);
    } catch (error) {
      scene = undefined;
      throw error;
    }
  };
  const loaded = () => (scene ??= load());
  onceSeen(root, () => void loaded().catch(() => undefined));
  return {
    show: async (item, look) => (await loaded()).show(item, look),
    clear: async () => (await loaded()).clear(),
  };
}

/**
 * Call a function when the element is first seen.
 * @param {Element} element @param {() => void} call
 */
function onceSeen(element, call) {
  const watch = new IntersectionObserver(([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    watch.disconnect();
    call();
  });
  watch.observe(element);
}
