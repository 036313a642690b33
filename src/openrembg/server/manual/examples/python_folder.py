from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests


def cut_out(photo: Path) -> str:
    """Save the cut-out of a photo; return a line that says how it went."""
    with photo.open("rb") as file:
        answer = requests.post(
            "http://localhost:8000/rmbg",
            headers={"x-api-key": "YOUR_API_KEY"},
            files={"image": file},
            timeout=120,
        )
    if not answer.ok:
        return f"{photo.name}: {answer.json()['error']}"
    Path("cutouts", f"{photo.stem}.webp").write_bytes(answer.content)
    return f"{photo.name}: done"


Path("cutouts").mkdir(exist_ok=True)
with ThreadPoolExecutor(max_workers=4) as pool:
    for line in pool.map(cut_out, sorted(Path("photos").glob("*.jpg"))):
        print(line)
