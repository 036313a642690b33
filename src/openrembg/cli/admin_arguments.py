"""What an operator types, checked: numbers, lines of text, moments."""

import datetime as dt
from typing import Final

from openrembg.cli.terminal import USAGE, shown, stop

# More than anybody sells, and far from where a column of 64 bits ends.
MAX_CREDITS: Final = 10**12
MAX_DAYS: Final = 36_500

# As on the page of a key, where its owner may change it.
LAST_DAY: Final = dt.date(9998, 12, 31)


def whole(text: str, what: str, least: int, most: int = MAX_CREDITS) -> int:
    """Return a whole number within `least` and `most`; leave with a sentence if it is none."""
    digits = text.strip().removeprefix("-")
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= len(str(most))
    if not is_number or not least <= int(text) <= most:
        stop(
            f"{what} must be a whole number from {least} to {most}, not '{shown(text[:64])}'.",
            USAGE,
        )
    return int(text)


def line(text: str, what: str, most: int) -> str:
    """Return text without spaces around it; leave with a sentence if it is no printable line."""
    text = text.strip()
    if not text.isprintable():
        stop(f"The {what} has characters that cannot be printed.", USAGE)
    if len(text) > most:
        stop(f"The {what} is longer than {most} characters.", USAGE)
    return text


def moment(text: str, now: dt.datetime) -> dt.datetime:
    """Return when something ends that lives for so many days, or to the end of a day (UTC)."""
    if text.isascii() and text.isdigit():
        return now + dt.timedelta(days=whole(text, "DAYS", 1, MAX_DAYS))
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        stop(f"A date looks like 2030-12-31, and not like '{shown(text[:64])}'.", USAGE)
    if day > LAST_DAY:
        stop(f"The {day} is too far away.", USAGE)
    end = dt.datetime.combine(day, dt.time.max, dt.UTC)
    if end <= now:
        stop(f"The {day} has passed.", USAGE)
    return end
