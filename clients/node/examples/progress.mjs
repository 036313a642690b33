// node progress.mjs photo.jpg
import { rembg } from "@openrembg/rembg.js";

function percent({ loaded, total, rate }) {
  const part = total === undefined ? `${loaded} bytes` : `${Math.round((100 * loaded) / total)} %`;
  return rate === undefined ? part : `${part}, ${Math.round(rate / 1024)} KiB/s`;
}

const { base64Image } = await rembg({
  inputImage: process.argv[2],
  options: { returnBase64: true },
  onUploadProgress: (event) => console.log(`up ${percent(event)}`),
  onDownloadProgress: (event) => console.log(`down ${percent(event)}`),
});
console.log(`${base64Image.slice(0, 30)}…`);
