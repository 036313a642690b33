import { readFile, writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

async function cutOut(photo, attempts = 5) {
  let answer;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const form = new FormData();
    form.append("image", new Blob([await readFile(photo)]), photo);
    answer = await fetch("http://localhost:8000/rmbg", {
      method: "POST",
      headers: {
        "x-api-key": "YOUR_API_KEY",
        // The same for each attempt: a retry is never charged twice.
        "Idempotency-Key": `catalogue-7-${photo}`,
      },
      body: form,
    });
    if (answer.ok) return Buffer.from(await answer.arrayBuffer());
    // Only what passes by itself has this header: 503, and 429 for a minute.
    const seconds = answer.headers.get("Retry-After");
    if (seconds === null) break;
    await pause(Number(seconds) * 1000);
  }
  throw new Error((await answer.json()).error);
}

await writeFile("cutout.webp", await cutOut("photo.jpg"));
