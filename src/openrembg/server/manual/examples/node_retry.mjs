import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

async function cutOut(path, fields = {}, attempts = 5) {
  const pixels = await readFile(path);
  const form = new FormData();
  form.append("image", new Blob([pixels]), basename(path));
  for (const name in fields) form.append(name, fields[name]);
  // Made of all that is sent: a repeated request is never charged twice.
  const sent = JSON.stringify([basename(path), fields]);
  const key = createHash("sha256").update(sent).update(pixels).digest("hex");
  let failed;
  let seconds = 0;
  for (let attempt = 0; attempt < attempts; attempt++) {
    await pause(seconds * 1000);
    seconds = Math.max(1, 2 * seconds);
    try {
      const answer = await fetch("http://localhost:8000/rmbg", {
        method: "POST",
        headers: { "x-api-key": "YOUR_API_KEY", "Idempotency-Key": key },
        body: form,
      });
      if (answer.ok) return Buffer.from(await answer.arrayBuffer());
      failed = new Error((await answer.json()).error);
      // A 429 that passes within a minute has a Retry-After, the others have none.
      const wanted = answer.headers.get("Retry-After");
      if (wanted === null && ![409, 500, 502, 503, 504].includes(answer.status)) break;
      seconds = Math.max(seconds, Number(wanted));
    } catch (error) {
      failed = error;
    }
  }
  throw failed;
}

await writeFile("cutout.webp", await cutOut("photo.jpg", { format: "webp" }));
