"""From form fields to Options: how each field is written, and what is said when it is wrong."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from openrembg.matting.errors import FieldError, InvalidOptions
from openrembg.matting.options import Options, echo
from openrembg.server.whole_number import ASCII_SPACE, whole_number

# The order in which a client is told of several faults.
ORDER: Final = (
    *("image", "w", "h", "angle", "format", "bg_color", "mask"),
    *("exact_resize", "expand", "return_base64"),
)
TRUE: Final = frozenset(("true", "1", "yes", "on"))
FALSE: Final = frozenset(("false", "0", "no", "off"))

_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,64}(?:\.[0-9]{0,64})?|\.[0-9]{1,64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Field:
    """One form field: parse turns its text into an Options value or raises ValueError."""

    name: str
    parse: Callable[[str, str], object]


def parse_options(fields: Mapping[str, str]) -> Options:
    """Return the options that the form's fields ask for; unknown fields are ignored.

    Raises InvalidOptions with one FieldError for each wrong field, in the order of ORDER.
    """
    values: dict[str, object] = {}
    errors: list[FieldError] = []
    for field in _FIELDS:
        text = fields.get(field.name, "")
        if not text:
            continue
        try:
            values[field.name] = field.parse(field.name, text)
        except ValueError as error:
            errors.append(FieldError(field.name, str(error)))
    values.pop("return_base64", None)
    try:
        options = Options(**values)  # type: ignore[arg-type]
    except InvalidOptions as invalid:
        raise InvalidOptions(in_order((*errors, *invalid.errors))) from invalid
    if errors:
        raise InvalidOptions(in_order(errors))
    return options


def in_order(errors: tuple[FieldError, ...] | list[FieldError]) -> tuple[FieldError, ...]:
    """Return errors in the order of ORDER."""
    return tuple(sorted(errors, key=lambda error: ORDER.index(error.field)))


def _side(name: str, text: str) -> int | None:
    # The published Node client always sends w=0 and h=0 and means "not set".
    return whole_number(name, text) or None


def _angle(name: str, text: str) -> float:
    number = text.strip(ASCII_SPACE)
    if _DECIMAL.fullmatch(number) is None:
        raise ValueError(f"'{name}' must be a number, got: '{echo(text)}'")
    return float(number)


def _flag(name: str, text: str) -> bool:
    word = text.lower()
    if word not in TRUE | FALSE:
        raise ValueError(f"'{name}' must be a boolean (true or false), got: '{echo(text)}'")
    return word in TRUE


def _as_sent(_name: str, text: str) -> str:
    # Options reads formats and colours itself.
    return text


_FIELDS: Final = (
    _Field("w", _side),
    _Field("h", _side),
    _Field("angle", _angle),
    _Field("format", _as_sent),
    _Field("bg_color", _as_sent),
    _Field("mask", _flag),
    _Field("exact_resize", _flag),
    _Field("expand", _flag),
    _Field("return_base64", _flag),
)
