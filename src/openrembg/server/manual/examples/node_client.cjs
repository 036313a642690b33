const fs = require("node:fs");

const { rembg } = require("@remove-background-ai/rembg.js");
const axios = require("axios");

// The client knows one address only: lead its requests to your server.
axios.interceptors.request.use((config) => {
  if (config.url === "https://api.rembg.com/rmbg") {
    config.url = "http://localhost:8000/rmbg";
  }
  return config;
});

async function main() {
  const { outputImagePath, cleanup } = await rembg({
    apiKey: "YOUR_API_KEY",
    inputImage: "photo.jpg",
    options: { format: "png", w: 800 },
    onUploadProgress: () => {},
    onDownloadProgress: () => {},
  });
  fs.copyFileSync(outputImagePath, "cutout.png");
  await cleanup();
}

main();
