"""The goals that the tables are held against, on the same ONNX file, without colour estimation."""

from typing import Final

# (megapixels, format) -> how many times faster than the peer one photo shall be.
LATENCY: Final[dict[tuple[float, str], float]] = {
    (1, "png"): 10,
    (1, "webp"): 6,
    (9, "png"): 14,
    (9, "webp"): 7,
    (40, "png"): 17,
    (40, "webp"): 6,
}
# format -> how many times the peer's rate at 16 concurrent clients.
RATE_AT_16: Final[dict[str, float]] = {"png": 12, "webp": 8}
MANY: Final = 16
PEAK_1_MP_GB: Final = 0.35
PEAK_50_MP_GB: Final = 1.0
# Of 64 clients with 50 MiB each.
PEAK_UPLOADS_GB: Final = 2.5
# Of resident memory, over a thousand requests.
GROWTH_MB: Final = 1.0
# How many times longer others may wait while slow clients hold their connections.
SLOWED_BY: Final = 1.2
WARM_START_S: Final = 3.0
MEMBERSHIP_P99_MS: Final = 50.0
OVERHEAD_MS: Final = 5.0
WEBHOOK_P99_MS: Final = 200.0
# Of a page, uncompressed; and until it shows something, on this machine.
PAGE_KB: Final = 150.0
FIRST_PAINT_S: Final = 1.0


def at_least(value: float, goal: float | None) -> str:
    """Return the goal and whether the value reaches it: `10 × met`; a dash without a goal."""
    if goal is None:
        return "–"
    return f"{goal:g} × {'met' if value >= goal else 'missed'}"


def at_most(value: float, goal: float | None, unit: str) -> str:
    """Return the goal and whether the value stays below it: `0.35 GB met`."""
    if goal is None:
        return "–"
    return f"{goal:g} {unit} {'met' if value <= goal else 'missed'}"
