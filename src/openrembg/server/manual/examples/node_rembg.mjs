import { copyFile } from "node:fs/promises";

import { rembg, usage } from "@openrembg/rembg.js";

const server = { apiKey: "YOUR_API_KEY", baseUrl: "http://localhost:8000" };

const { outputImagePath, cleanup, info } = await rembg({
  ...server,
  inputImage: "photo.jpg",
  options: { format: "png", w: 800 },
});
await copyFile(outputImagePath, "cutout.png");
await cleanup();
console.log(`${info.width} × ${info.height}, credits: ${info.creditsCharged}`);

const now = await usage({ ...server, billingCycle: true });
const left = now.billingCycle.remainingIncludedCredits + now.prepaidCredits;
console.log(`Left: ${left}`);
