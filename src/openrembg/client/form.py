"""The multipart form that carries a picture and its options (RFC 7578)."""

import operator
import re
import secrets
from dataclasses import dataclass, fields
from typing import Final

from openrembg.matting.options import Options

MAX_NAME: Final = 255
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Form:
    """What goes before and after the picture's bytes."""

    content_type: str
    head: bytes
    tail: bytes

    def length(self, size: int) -> int:
        """Return the Content-Length around a picture of `size` bytes."""
        return len(self.head) + size + len(self.tail)


def form_for(name: str, options: Options) -> Form:
    """Return the form for a picture of that file name; default options are left out."""
    boundary = f"openrembg-{secrets.token_hex(16)}"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in changed_fields(options).items()
    ]
    disposition = f'form-data; name="image"; filename="{quoted(name)}"'
    parts.append(
        f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return Form(
        f"multipart/form-data; boundary={boundary}",
        "".join(parts).encode("utf-8", "replace"),
        f"\r\n--{boundary}--\r\n".encode(),
    )


def changed_fields(options: Options) -> dict[str, str]:
    """Return the options that differ from their defaults, as the form's text."""
    changed = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if value != field.default and value is not None:
            changed[field.name] = _text(field.name, value)
    return changed


def quoted(name: str) -> str:
    """Return a file name as it may stand in quotes (WHATWG HTML, multipart/form-data encoding).

    Of a long one the end, which has the extension. Control characters would end the header.
    """
    named = name[-MAX_NAME:].replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return _CONTROLS.sub("_", named)


def _text(field: str, value: object) -> str:
    if field in ("w", "h"):
        return str(operator.index(value))  # type: ignore[arg-type]
    if field == "angle":
        return repr(float(value))  # type: ignore[arg-type]
    if field in ("exact_resize", "mask", "expand"):
        return "true" if value else "false"
    return str(value)
