import { readFile, writeFile } from "node:fs/promises";

const PIECE = 64 * 1024;

const form = new FormData();
form.set("image", new Blob([await readFile("photo.jpg")]), "photo.jpg");
// A Response writes the form down; then its length is known.
const written = new Response(form);
const body = new Uint8Array(await written.arrayBuffer());

let sent = 0;
const upload = new ReadableStream({
  pull(controller) {
    const piece = body.slice(sent, sent + PIECE);
    if (piece.length === 0) return controller.close();
    controller.enqueue(piece);
    sent += piece.length;
    console.log(`sent ${sent} of ${body.length} bytes`);
  },
});

const answer = await fetch("http://localhost:8000/rmbg", {
  method: "POST",
  headers: {
    "x-api-key": "YOUR_API_KEY",
    "content-type": written.headers.get("content-type"),
  },
  body: upload,
  duplex: "half",
});
if (!answer.ok) throw new Error((await answer.json()).error);

const total = Number(answer.headers.get("content-length"));
const pieces = [];
let received = 0;
for await (const piece of answer.body) {
  pieces.push(piece);
  received += piece.length;
  console.log(`received ${received} of ${total} bytes`);
}
await writeFile("cutout.webp", Buffer.concat(pieces));
