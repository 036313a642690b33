"""The uploaded picture: what is checked before a pixel is decoded, and how long it is in memory."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from openrembg.matting.decode import Source
from openrembg.matting.errors import FieldError, ImageError
from openrembg.matting.options import echo
from openrembg.server.removal.form import Form, Upload

MAX_BYTES: Final = 50 * 1024 * 1024
MIB: Final = 1024 * 1024
EXTENSIONS: Final = (".webp", ".bmp", ".png", ".jpg", ".jpeg")
# A smaller upload stays in memory while it waits; a larger one is read again when it is its turn.
KEEP_BYTES: Final = MIB
# So many uploads are in memory at once for a look at the header, however many are waiting.
_looking = threading.BoundedSemaphore(4)

NO_IMAGE: Final = "No image file provided. Please include an 'image' field in your form data."
NO_FILE: Final = "No file selected. Please choose an image file to upload."
EMPTY: Final = "Uploaded file is empty (0 bytes)."


class BadUpload(Exception):
    """The picture cannot be used. `errors` has one or more FieldErrors for `image`."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.errors = tuple(FieldError("image", message) for message in messages)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose header is fine.

    filename: as the client sent it. peak_pixels: what it will need at most, for admission.
    """

    filename: str
    size: int
    upload: Upload
    kept: Source | None

    def source(self) -> Source:
        """Return the picture's bytes, ready to decode. Raises ImageError as the header did not."""
        return self.kept or Source(self.upload.read())


def check_upload(form: Form, measure: Callable[[Source], int]) -> tuple[Picture, int]:
    """Return the form's picture and what `measure` says of it, for instance its pixels.

    Raises BadUpload at the first check that fails: there, chosen, extension, empty, too big,
    signature, sides.
    """
    upload = form.image
    if upload is None:
        raise BadUpload(NO_IMAGE)
    if not upload.filename:
        raise BadUpload(NO_FILE)
    check_extension(upload.filename)
    if upload.size == 0:
        raise BadUpload(EMPTY)
    check_size(upload.size)
    return _look(upload, measure)


def check_extension(filename: str) -> None:
    """Raise BadUpload for an extension that is none of the four formats'; none at all is fine."""
    extension = PurePosixPath(filename.replace("\\", "/")).suffix.lower()
    if extension.strip(".") and extension not in EXTENSIONS:
        allowed = ", ".join(known[1:] for known in EXTENSIONS)
        raise BadUpload(
            f"File type '{echo(extension)}' is not supported. Allowed formats: {allowed}"
        )


def check_size(size: int) -> None:
    """Raise BadUpload for more than 50 MiB."""
    if size > MAX_BYTES:
        raise BadUpload(
            f"File size ({size / MIB:.1f} MB) exceeds the maximum allowed size of 50 MB."
        )


def _look(upload: Upload, measure: Callable[[Source], int]) -> tuple[Picture, int]:
    with _looking:
        try:
            source = Source(upload.read())
            measured = measure(source)
        except ImageError as error:
            raise BadUpload(*error.messages) from error
        kept = source if upload.size <= KEEP_BYTES else None
        return Picture(upload.filename, upload.size, upload, kept), measured
