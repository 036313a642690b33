import io

import requests
from PIL import Image

photo = Image.open("photo.jpg").convert("RGB")
sent = io.BytesIO()
photo.save(sent, "PNG")

answer = requests.post(
    "http://localhost:8000/rmbg",
    headers={"x-api-key": "YOUR_API_KEY"},
    files={"image": ("photo.png", sent.getvalue())},
    data={"format": "png"},
    timeout=120,
)
answer.raise_for_status()

cutout = Image.open(io.BytesIO(answer.content))
scene = Image.new("RGBA", cutout.size, "lightsteelblue")
scene.alpha_composite(cutout)
scene.save("scene.png")
