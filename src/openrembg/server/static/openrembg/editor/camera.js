// Taking a photo: with the phone's own camera, else with a camera of the computer in a dialog.

import { takeChosen } from "./intake.js";
import { say } from "./words.js";

const QUALITY = 0.95;
const LARGEST = { ideal: 4096 };

/**
 * Show the buttons where there is a camera.
 * @param {HTMLButtonElement[]} buttons @param {HTMLInputElement} input that opens a phone's camera
 * @param {HTMLDialogElement} dialog @param {import("./intake.js").TakeFiles} take
 */
export async function setUpCamera(buttons, input, dialog, take) {
  const isPhone = matchMedia("(pointer: coarse)").matches;
  if (!isPhone && !(await hasCamera())) return;
  if (isPhone) takeChosen(input, buttons, take);
  else openFrom(buttons, dialog, take);
  for (const button of buttons) button.hidden = false;
}

/** Return whether a page may ask for a camera; without TLS it may not. */
async function hasCamera() {
  if (!navigator.mediaDevices?.getUserMedia) return false;
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.some((device) => device.kind === "videoinput");
}

/**
 * @param {HTMLButtonElement[]} buttons @param {HTMLDialogElement} dialog
 * @param {import("./intake.js").TakeFiles} take
 */
function openFrom(buttons, dialog, take) {
  const video = /** @type {HTMLVideoElement} */ (dialog.querySelector("video"));
  const shutter = /** @type {HTMLButtonElement} */ (dialog.querySelector("[data-take]"));
  for (const button of buttons) button.addEventListener("click", () => open(dialog, video));
  dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    shutter.disabled = true;
    stop(video);
  });
  video.addEventListener("playing", () => {
    shutter.disabled = false;
  });
  let count = 0;
  shutter.addEventListener("click", async () => {
    count += 1;
    const file = await shotOf(video, `${say("photo")}-${count}.jpg`);
    dialog.close();
    take([file]);
  });
}

/** @param {HTMLDialogElement} dialog @param {HTMLVideoElement} video */
async function open(dialog, video) {
  const trouble = /** @type {HTMLElement} */ (dialog.querySelector("[role=alert]"));
  trouble.textContent = "";
  dialog.showModal();
  try {
    const wanted = { facingMode: "environment", width: LARGEST, height: LARGEST };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted });
  } catch {
    trouble.textContent = say("no_camera");
  }
  if (!dialog.open) stop(video);
}

/** @param {HTMLVideoElement} video */
function stop(video) {
  const stream = /** @type {MediaStream | null} */ (video.srcObject);
  for (const track of stream?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** @param {HTMLVideoElement} video @param {string} name @returns {Promise<File>} */
async function shotOf(video, name) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  /** @type {Blob | null} */
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  return new File(blob ? [blob] : [], name, { type: "image/jpeg" });
}
