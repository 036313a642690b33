from pathlib import Path

import requests

with Path("photo.jpg").open("rb") as photo:
    answer = requests.post(
        "http://localhost:8000/rmbg",
        headers={"x-api-key": "YOUR_API_KEY"},
        files={"image": photo},
        data={"format": "png"},
        timeout=120,
    )
answer.raise_for_status()
Path("cutout.png").write_bytes(answer.content)
print("Credits:", answer.headers["X-Credits-Charged"])
