import { createWriteStream, openAsBlob } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

const form = new FormData();
form.append("image", await openAsBlob("photo.jpg"), "photo.jpg");

const answer = await fetch("http://localhost:8000/rmbg", {
  method: "POST",
  headers: { "x-api-key": "YOUR_API_KEY" },
  body: form,
});
if (!answer.ok) throw new Error((await answer.json()).error);

const file = createWriteStream("cutout.webp");
await pipeline(Readable.fromWeb(answer.body), file);
