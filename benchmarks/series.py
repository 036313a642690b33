"""Several measurements of one thing, and what may be said about them."""

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """Values of one quantity in one unit, at least one."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a series needs at least one value")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)

    def text(self, scale: float = 1.0, digits: int = 1) -> str:
        """Return `median (low–high)` with every value multiplied by `scale`."""
        median, low, high = (
            f"{value * scale:.{digits}f}" for value in (self.median, self.low, self.high)
        )
        return f"{median} ({low}–{high})"
