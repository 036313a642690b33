import time
from pathlib import Path

import requests


def cut_out(photo: Path, attempts: int = 5) -> bytes:
    """Return the cut-out; wait and try again when the server asks for it."""
    for _ in range(attempts):
        answer = requests.post(
            "http://localhost:8000/rmbg",
            headers={
                "x-api-key": "YOUR_API_KEY",
                # The same for each attempt: a retry is never charged twice.
                "Idempotency-Key": f"catalogue-7-{photo.name}",
            },
            files={"image": (photo.name, photo.read_bytes())},
            timeout=120,
        )
        if answer.ok:
            return answer.content
        # Only what passes by itself has this header: 503, and 429 for a minute.
        if "Retry-After" not in answer.headers:
            break
        time.sleep(int(answer.headers["Retry-After"]))
    raise RuntimeError(answer.json()["error"])


Path("cutout.webp").write_bytes(cut_out(Path("photo.jpg")))
