import { readFile, writeFile } from "node:fs/promises";

const form = new FormData();
form.append("image", new Blob([await readFile("photo.jpg")]), "photo.jpg");
form.append("format", "png");

const answer = await fetch("http://localhost:8000/rmbg", {
  method: "POST",
  headers: { "x-api-key": "YOUR_API_KEY" },
  body: form,
});
if (!answer.ok) throw new Error((await answer.json()).error);

await writeFile("cutout.png", Buffer.from(await answer.arrayBuffer()));
console.log("Credits:", answer.headers.get("X-Credits-Charged"));
