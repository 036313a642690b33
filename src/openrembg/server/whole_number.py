"""How a client writes a whole number, and what is said when it is none or out of range."""

import re
from typing import Final

from openrembg.matting.options import echo

ASCII_SPACE: Final = " \t\n\r\f\v"
DIGITS: Final = 9


def whole_number(name: str, text: str, digits: int = DIGITS) -> int:
    """Return the number that `text` writes; raises ValueError with the contract's sentence."""
    number = text.strip(ASCII_SPACE)
    if re.fullmatch(rf"[+-]?[0-9]{{1,{digits}}}", number, re.ASCII) is None:
        raise ValueError(f"'{name}' must be an integer, got: '{echo(text)}'")
    return int(number)


def within(name: str, number: int, least: int, most: int) -> int:
    """Return the number; raises ValueError with the contract's sentence when it is out of range."""
    if number < least:
        raise ValueError(f"'{name}' must be at least {least}, got: {number}")
    if number > most:
        raise ValueError(f"'{name}' must be at most {most}, got: {number}")
    return number
