"""The fields of POST /rmbg for the documentation: their types from the API's description."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from openrembg.matting.compose import output_size, rotated_size
from openrembg.matting.options import FORMATS, MAX_SIDE, Options
from openrembg.server.manual.prose import codes, in_html
from openrembg.server.removal.description import FIELDS


@dataclass(frozen=True, slots=True)
class Field:
    """A field. kind: its type and values in words; default: as it is written, if there is one."""

    name: str
    kind: SafeString
    default: str
    about: SafeString

    @property
    def is_required(self) -> bool:
        """Whether a request without it is refused."""
        return self.name == "image"


@dataclass(frozen=True, slots=True)
class Size:
    """What becomes of a photo's size. sent: the fields that were sent."""

    sent: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Color:
    """A way to write a colour. fill, opacity: what it looks like, for an SVG."""

    text: str
    fill: str
    opacity: str
    about: str


PHOTO: Final = (3000, 2000)

_ABOUT: Final[Mapping[str, str]] = {
    "image": gettext_noop(
        "The picture: a PNG, JPEG, WebP or BMP file. Its name ends with `png`, `jpg`, `jpeg`, "
        "`webp` or `bmp` or has no ending; which of the four it is, its bytes decide."
    ),
    "format": gettext_noop(
        "The format of the answer, in any case; `jpg` means `jpeg`. WebP and PNG keep the "
        "background transparent. JPEG and BMP cannot: there it is `bg_color`, or else white."
    ),
    "w": gettext_noop("The width of the answer in pixels. `0` and empty mean: not set."),
    "h": gettext_noop("The height of the answer in pixels. `0` and empty mean: not set."),
    "exact_resize": gettext_noop(
        "Together with `w` and `h`, `true` makes the answer exactly that size, even if the picture "
        "is stretched. Otherwise it fits inside and keeps its proportions."
    ),
    "mask": gettext_noop(
        "`true` answers with the mask alone, in 8-bit grey: white where the subject is, black "
        "where it is not. Not together with `bg_color`."
    ),
    "bg_color": gettext_noop(
        "The colour behind the subject: a hex colour or a CSS colour name, in any case. Empty "
        "leaves it transparent. Not together with `mask`."
    ),
    "angle": gettext_noop(
        "By how many degrees to turn the picture counter-clockwise. A negative number turns it "
        "clockwise."
    ),
    "expand": gettext_noop(
        "`true` lets the canvas grow, so that nothing of a turned picture is cut off. `false` "
        "keeps the canvas as it is."
    ),
    "return_base64": gettext_noop(
        "Accepted because older clients send it. It changes nothing: the answer is always the "
        "image itself."
    ),
}


def fields() -> tuple[Field, ...]:
    """Return every field in the order of the API's description, in the language of the moment."""
    return tuple(_field(name, schema) for name, schema in FIELDS.items())


def _field(name: str, schema: Mapping[str, Any]) -> Field:
    kind, about = in_html(_kind(schema)), in_html(gettext(_ABOUT[name]))
    return Field(name, kind, _default(schema), about)


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a field's type in words."""
    if schema.get("format") == "binary":
        return gettext("file")
    if schema["type"] == "integer":
        # The API describes 0 too, which means "not set".
        ends = {"least": "`1`", "most": f"`{MAX_SIDE}`"}
        return gettext("whole number from %(least)s to %(most)s") % ends
    if schema["type"] == "number":
        ends = {"least": f"`{schema['minimum']}`", "most": f"`{schema['maximum']}`"}
        return gettext("number from %(least)s to %(most)s") % ends
    if "pattern" in schema:
        return gettext("colour")
    if "true" in schema["enum"]:
        return gettext("yes or no: %(words)s") % {"words": codes("true", "false")}
    return gettext("one of these words: %(words)s") % {"words": codes(*FORMATS)}


def _default(schema: Mapping[str, Any]) -> str:
    """Return a field's default as one would write it, nothing for one that is not set."""
    default = str(schema.get("default", ""))
    return "" if schema["type"] == "integer" else default


_SIZES: Final = (
    ("w=600", Options(w=600)),
    ("h=600", Options(h=600)),
    ("w=600, h=600", Options(w=600, h=600)),
    ("w=600, h=600, exact_resize=true", Options(w=600, h=600, exact_resize=True)),
    ("w=6000", Options(w=6000)),
)
_TURNS: Final = (
    ("angle=90", 90.0, True),
    ("angle=90, expand=false", 90.0, False),
    ("angle=-30", -30.0, True),
    ("angle=-30, expand=false", -30.0, False),
)
_COLORS: Final = (
    Color("#f60", "#f60", "1", gettext_noop("Red, green, blue: one hex digit each")),
    Color("#f608", "#f60", "0.53", gettext_noop("The same with opacity")),
    Color("#ff6600", "#f60", "1", gettext_noop("Two hex digits each")),
    Color("#ff660080", "#f60", "0.5", gettext_noop("The same with opacity")),
    Color("rebeccapurple", "#639", "1", gettext_noop("The name of a CSS colour")),
    Color("transparent", "none", "0", gettext_noop("Nothing: the background stays transparent")),
)


def sizes() -> tuple[Size, ...]:
    """Return what w, h and exact_resize make of a photo of PHOTO's size."""
    return tuple(Size(sent, *output_size(*PHOTO, options)) for sent, options in _SIZES)


def turns() -> tuple[Size, ...]:
    """Return what angle and expand make of a photo of PHOTO's size."""
    return tuple(Size(sent, *rotated_size(*PHOTO, angle, grow)) for sent, angle, grow in _TURNS)


def colors() -> tuple[Color, ...]:
    """Return the ways to write a colour, in the language of the moment."""
    return tuple(Color(one.text, one.fill, one.opacity, gettext(one.about)) for one in _COLORS)
