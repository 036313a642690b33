"""Where the subject is in a finished picture."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in output pixels; all zero when there is nothing."""

    top: int
    left: int
    width: int
    height: int
