"""The answer that carries a picture: its headers say what a client may want to know of it."""

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final

from django.http import HttpResponse

from openrembg.matting.options import Format
from openrembg.matting.pipeline import Cutout, Timings
from openrembg.server.removal.work import Work

EXTENSIONS: Final[dict[Format, str]] = {
    "webp": "webp",
    "png": "png",
    "jpeg": "jpg",
    "bmp": "bmp",
}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)
_MAX_STEM: Final = 100


def picture_answer(cutout: Cutout, work: Work, source: str, provider: str) -> HttpResponse:
    """Return the 200 answer for a cut-out; source: whose credit it was, if it costs one."""
    box = cutout.foreground_box
    name = f"{safe_stem(work.picture.filename)}.{EXTENSIONS[work.options.format]}"
    headers = {
        "Content-Length": str(len(cutout.data)),
        "Cache-Control": "no-store",
        "Content-Disposition": f'inline; filename="{name}"',
        "X-Width": str(cutout.width),
        "X-Height": str(cutout.height),
        "X-Credits-Charged": "1" if cutout.foreground_detected else "0",
        "X-Credits-Source": source,
        "X-Model": cutout.model,
        "X-Provider": provider,
        "X-Foreground-Detected": "true" if cutout.foreground_detected else "false",
        "X-Foreground-Top": str(box.top),
        "X-Foreground-Left": str(box.left),
        "X-Foreground-Width": str(box.width),
        "X-Foreground-Height": str(box.height),
        "Server-Timing": server_timing(cutout.timings),
    }
    return HttpResponse(cutout.data, content_type=cutout.media_type, headers=headers)


def safe_stem(filename: str) -> str:
    """Return a file name's stem in ASCII that no header or file system stumbles over."""
    stem = PurePosixPath(filename.replace("\\", "/")).stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode("ascii")
    return _UNSAFE.sub("-", plain)[:_MAX_STEM].strip("-._") or "image"


def server_timing(timings: Timings) -> str:
    """Return the Server-Timing header (W3C Server Timing), durations in milliseconds."""
    stages = (
        ("decode", timings.decode_s),
        ("matte", timings.matte_s),
        ("compose", timings.compose_s),
        ("encode", timings.encode_s),
    )
    return ", ".join(f"{name};dur={seconds * 1000:.1f}" for name, seconds in stages)
