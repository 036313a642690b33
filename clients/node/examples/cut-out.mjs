// node cut-out.mjs photo.jpg cut-out.png
// The server is REMBG_API_URL, the key REMBG_API_KEY; without a key the call is anonymous.
import { copyFile } from "node:fs/promises";

import { rembg } from "@openrembg/rembg.js";

const [inputImage, target] = process.argv.slice(2);
const { outputImagePath, cleanup, info } = await rembg({ inputImage, options: { format: "png" } });
await copyFile(outputImagePath, target);
await cleanup();
console.log(`${target}: ${info.width} × ${info.height}, credits: ${info.creditsCharged}`);
