// Before and after: a slider over the picture, moved by mouse, finger, pen or keys.

import { filled, percent } from "./words.js";

/**
 * @typedef {object} CompareParts
 * @property {HTMLElement} frame What is as large as the picture.
 * @property {HTMLCanvasElement} before Lies over the picture, cut off at the slider.
 * @property {HTMLInputElement} slider From 0 to 100, counted in the direction of reading.
 * @property {HTMLElement} handle
 */

/**
 * Let the slider be used.
 * @param {CompareParts} parts
 * @param {string} sentence Says how much of the original is shown.
 * @returns {{use(isOn: boolean): void}}
 */
export function createCompare({ frame, before, slider, handle }, sentence) {
  const isLeftward = getComputedStyle(frame).direction === "rtl";
  let isOn = true;
  let isHeld = false;
  let last = slider.value;

  const show = () => {
    const share = slider.valueAsNumber;
    const rest = `${100 - share}%`;
    before.style.clipPath = isLeftward ? `inset(0 0 0 ${rest})` : `inset(0 ${rest} 0 0)`;
    handle.style.insetInlineStart = `${share}%`;
    slider.setAttribute("aria-valuetext", filled(sentence, { percent: percent(share / 100) }));
  };

  /** @param {PointerEvent} event */
  const follow = (event) => {
    if (!isHeld) return;
    const { left, width } = frame.getBoundingClientRect();
    const across = (event.clientX - left) / width;
    slider.value = String(100 * (isLeftward ? 1 - across : across));
    show();
  };

  /** @param {PointerEvent} event */
  const hold = (event) => {
    if (!isOn || event.button !== 0) return;
    isHeld = true;
    last = slider.value;
    frame.setPointerCapture(event.pointerId);
    slider.focus({ preventScroll: true });
    // The mouse would move the focus to what lies below it.
    event.preventDefault();
    follow(event);
  };

  const letGo = () => {
    isHeld = false;
  };

  frame.addEventListener("pointerdown", hold);
  frame.addEventListener("pointermove", follow);
  frame.addEventListener("pointerup", letGo);
  // The finger scrolls the page.
  frame.addEventListener("pointercancel", () => {
    if (isHeld) slider.value = last;
    letGo();
    show();
  });
  slider.addEventListener("input", show);
  show();

  return {
    use(isWanted) {
      isOn = isWanted;
      for (const part of [before, slider, handle]) part.hidden = !isWanted;
    },
  };
}
