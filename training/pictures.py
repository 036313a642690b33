"""The pictures of the model's page: a photo, and beside it its cut-out on magenta."""

import io
from typing import Final

from PIL import Image

from openrembg import Options, remove_background
from openrembg.matting.decode import Source

HALF_PX: Final = (316, 300)  # at most, of the photo and of its cut-out
GAP_PX: Final = 8
MAX_BYTES: Final = 60_000
GROUND: Final = "#ff00ff"
QUALITIES: Final = (84, 76, 68, 60, 50, 40)

Box = tuple[int, int, int, int]


def draw(photo: bytes, crop: Box | None = None) -> bytes:
    """Return a WebP file of under 60 kB, made with the packaged model.

    crop: left, top, right, bottom in the photo's pixels, applied after the cut.
    Raises what remove_background raises, and ValueError when the file stays too large.
    """
    cutout = remove_background(photo, Options(format="png", bg_color=GROUND)).data
    before = Image.fromarray(Source(photo).photo().rgb)
    after = Image.open(io.BytesIO(cutout)).convert("RGB")
    return _encode(_side_by_side([_half(image, crop) for image in (before, after)]))


def _half(image: Image.Image, crop: Box | None) -> Image.Image:
    part = image if crop is None else image.crop(crop)
    scale = min(HALF_PX[0] / part.width, HALF_PX[1] / part.height)
    size = round(part.width * scale), round(part.height * scale)
    return part.resize(size, Image.Resampling.LANCZOS)


def _side_by_side(halves: list[Image.Image]) -> Image.Image:
    width, height = halves[0].size
    sheet = Image.new("RGB", (2 * width + GAP_PX, height), "white")
    for index, half in enumerate(halves):
        sheet.paste(half, (index * (width + GAP_PX), 0))
    return sheet


def _encode(image: Image.Image) -> bytes:
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=6)
        if file.tell() < MAX_BYTES:
            return file.getvalue()
    raise ValueError(f"the picture stays over {MAX_BYTES} bytes")
