// Calls the published client once and prints what it gave back as one line of JSON.
// argv[2]: JSON with `kind` (path, buffer or base64), `path` and the client's `options`.
"use strict";

const fs = require("node:fs");
const { rembg } = require("@remove-background-ai/rembg.js");

const asked = JSON.parse(process.argv[2]);
const progress = { up: [], down: [] };

function inputImage() {
  if (asked.kind === "path") return asked.path;
  const bytes = fs.readFileSync(asked.path);
  return asked.kind === "buffer" ? bytes : { base64: bytes.toString("base64") };
}

function note(list) {
  return (event) => list.push({ loaded: event.loaded, total: event.total ?? null });
}

async function main() {
  const result = { progress };
  try {
    const given = await rembg({
      apiKey: "a key",
      inputImage: inputImage(),
      options: asked.options,
      onUploadProgress: note(progress.up),
      onDownloadProgress: note(progress.down),
    });
    if (given.base64Image) {
      result.base64Image = given.base64Image;
    } else {
      result.name = given.outputImagePath;
      result.base64 = fs.readFileSync(given.outputImagePath).toString("base64");
      await given.cleanup();
    }
  } catch (error) {
    result.error = error.message;
  }
  // Else Node waits until the server closes the idle connection that axios keeps.
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

main();
