import io
from pathlib import Path

import requests
from urllib3 import encode_multipart_formdata


class Upload(io.BytesIO):
    """A body that tells how much of it was sent."""

    def read(self, size: int | None = -1, /) -> bytes:
        part = super().read(size)
        print(f"sent {self.tell()} of {self.getbuffer().nbytes} bytes")
        return part


photo = Path("photo.jpg")
form, kind = encode_multipart_formdata({"image": (photo.name, photo.read_bytes())})
answer = requests.post(
    "http://localhost:8000/rmbg",
    headers={"x-api-key": "YOUR_API_KEY", "Content-Type": kind},
    data=Upload(form),
    stream=True,
    timeout=120,
)
answer.raise_for_status()

total = int(answer.headers["Content-Length"])
with Path("cutout.webp").open("wb") as cutout:
    for part in answer.iter_content(64 * 1024):
        cutout.write(part)
        print(f"received {cutout.tell()} of {total} bytes")
