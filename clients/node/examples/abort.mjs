// node abort.mjs photo.jpg
// Gives up when Ctrl-C is pressed, or after ten seconds.
import { rembg } from "@openrembg/rembg.js";

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)]);

try {
  const { info, cleanup } = await rembg({ inputImage: process.argv[2], signal });
  console.log(`${info.width} × ${info.height}`);
  await cleanup();
} catch (error) {
  if (!signal.aborted) throw error;
  console.log("Given up.");
}
