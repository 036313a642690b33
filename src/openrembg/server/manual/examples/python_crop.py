import io
from pathlib import Path

import requests
from PIL import Image

answer = requests.post(
    "http://localhost:8000/rmbg",
    headers={"x-api-key": "YOUR_API_KEY"},
    files={"image": ("photo.jpg", Path("photo.jpg").read_bytes())},
    data={"format": "png"},
    timeout=120,
)
answer.raise_for_status()

if answer.headers["X-Foreground-Detected"] == "true":
    left = int(answer.headers["X-Foreground-Left"])
    top = int(answer.headers["X-Foreground-Top"])
    right = left + int(answer.headers["X-Foreground-Width"])
    bottom = top + int(answer.headers["X-Foreground-Height"])
    cutout = Image.open(io.BytesIO(answer.content))
    cutout.crop((left, top, right, bottom)).save("subject.png")
