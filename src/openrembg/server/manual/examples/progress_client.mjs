import { rename } from "node:fs/promises";

import { rembg } from "@openrembg/rembg.js";

const { outputImagePath } = await rembg({
  apiKey: "YOUR_API_KEY",
  baseUrl: "http://localhost:8000",
  inputImage: "photo.jpg",
  onUploadProgress: ({ loaded, total }) => console.log(`sent ${loaded} of ${total} bytes`),
  onDownloadProgress: ({ loaded, total }) => console.log(`received ${loaded} of ${total} bytes`),
});
await rename(outputImagePath, "cutout.webp");
