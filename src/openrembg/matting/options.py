"""What the caller may ask for: one frozen value, checked when it is made."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, SupportsFloat, SupportsIndex, get_args

from PIL import ImageColor

from openrembg.matting.errors import FieldError, InvalidOptions

Format = Literal["webp", "png", "jpeg", "bmp"]
Rgba = tuple[int, int, int, int]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)
MAX_SIDE: Final = 10_000
MAX_ANGLE: Final = 360.0
ECHO_LIMIT: Final = 64

# Pillow replaces a name's hex string by a tuple once somebody has used the name.
_CSS_NAMES: Final = {
    name: color if isinstance(color, str) else "#{:02x}{:02x}{:02x}".format(*color)
    for name, color in ImageColor.colormap.items()
}
_HEX = re.compile(r"#(?:[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})", re.ASCII)


def echo(value: object) -> str:
    """Return a caller's value as an error message may repeat it: at most 64 characters."""
    return str(value)[:ECHO_LIMIT]


def parse_format(text: str) -> Format:
    """Return the format that `text` names, in any case; `jpg` is JPEG.

    Raises ValueError with the contract's sentence for anything else.
    """
    name = text.lower()
    name = "jpeg" if name == "jpg" else name
    if name not in FORMATS:
        raise ValueError(f"Invalid format '{echo(text)}'. Allowed formats: PNG, JPEG, WEBP, BMP")
    return name


def parse_color(text: str) -> Rgba:
    """Return red, green, blue, alpha in 0..255 for a hex colour or a CSS colour name, any case.

    Raises ValueError with the contract's sentence for anything else.
    Source: CSS Color Module Level 4, sections 5.2 (hex) and 6.1 (names).
    """
    # The Kelvin sign is no k: CSS matches names in any case of ASCII.
    name = text.lower() if text.isascii() else text
    if name == "transparent":
        return (0, 0, 0, 0)
    color = _CSS_NAMES.get(name, name)
    if _HEX.fullmatch(color) is None:
        raise ValueError(
            f"Invalid color format '{echo(text)}'. "
            "Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA"
        )
    digits = color[1:]
    if len(digits) < 6:
        digits = "".join(digit * 2 for digit in digits)
    red, green, blue, alpha = bytes.fromhex(digits.ljust(8, "f"))
    return (red, green, blue, alpha)


@dataclass(frozen=True, slots=True)
class Options:
    """How the cut-out shall look.

    w, h: output size in pixels, 1..10000, None follows the photo.
    exact_resize: force exactly w x h; else the picture fits inside and keeps its aspect.
    mask: return the alpha matte alone, 8-bit grey.
    format: webp, png, jpeg (or jpg) or bmp, in any case.
    angle: degrees counter-clockwise, -360..360.
    expand: grow the canvas so that a rotated picture is not cropped.
    bg_color: #RGB, #RGBA, #RRGGBB, #RRGGBBAA or a CSS colour name; None keeps transparency.

    Raises InvalidOptions with one FieldError for each value out of range.
    """

    w: int | None = None
    h: int | None = None
    exact_resize: bool = False
    mask: bool = False
    format: Format = "webp"
    angle: float = 0.0
    expand: bool = True
    bg_color: str | None = None

    def __post_init__(self) -> None:
        errors = (
            *_side_errors("w", self.w),
            *_side_errors("h", self.h),
            *_angle_errors(self.angle),
            *_word_errors("format", str(self.format), parse_format),
            *_word_errors("bg_color", self.bg_color, parse_color),
            *_mask_errors(self.mask, self.bg_color),
        )
        if errors:
            raise InvalidOptions(errors)
        object.__setattr__(self, "format", parse_format(self.format))

    @property
    def background(self) -> Rgba | None:
        """The parsed `bg_color`: red, green, blue, alpha in 0..255."""
        return None if self.bg_color is None else parse_color(self.bg_color)


def _side_errors(field: str, side: object) -> tuple[FieldError, ...]:
    if side is None:
        return ()
    if isinstance(side, bool) or not isinstance(side, SupportsIndex):
        return (FieldError(field, f"'{field}' must be an integer, got: '{echo(side)}'"),)
    if int(side) < 1:
        return (FieldError(field, f"'{field}' must be at least 1, got: {side}"),)
    if int(side) > MAX_SIDE:
        return (FieldError(field, f"'{field}' must be at most {MAX_SIDE}, got: {side}"),)
    return ()


def _angle_errors(angle: object) -> tuple[FieldError, ...]:
    if not isinstance(angle, SupportsFloat) or not _is_finite(angle):
        return (FieldError("angle", f"'angle' must be a number, got: '{echo(angle)}'"),)
    if abs(float(angle)) > MAX_ANGLE:
        message = f"'angle' must be between -360 and 360 degrees, got: {float(angle)}"
        return (FieldError("angle", message),)
    return ()


def _is_finite(number: SupportsFloat) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float can hold
        return False


def _word_errors(
    field: str, text: str | None, parse: Callable[[str], object]
) -> tuple[FieldError, ...]:
    if text is None:
        return ()
    try:
        parse(str(text))
    except ValueError as error:
        return (FieldError(field, str(error)),)
    return ()


def _mask_errors(mask: bool, bg_color: str | None) -> tuple[FieldError, ...]:
    if not mask or bg_color is None:
        return ()
    message = "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other."
    return (FieldError("mask", message),)
