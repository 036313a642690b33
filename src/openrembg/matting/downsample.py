"""Squeeze a photo to the size at which a network, or a smooth guess, is computed."""

import cv2
import numpy as np

from openrembg.matting.layer import Pixels


def downsample(plane: Pixels, width: int, height: int) -> Pixels:
    """Return uint8[height, width, ...] of uint8[h, w, ...]; grows too, when the plane is smaller.

    Each axis is halved while it is twice too long, then comes one bilinear step of less than two
    on the exact coordinates. A bilinear half is the mean of two pixels, and takes a fraction of
    the time of OpenCV's area filter.
    """
    full_height, full_width = plane.shape[:2]
    halves_across, halves_down = _halvings(full_width, width), _halvings(full_height, height)
    for step in range(max(halves_across, halves_down)):
        plane = _halved(plane, across=step < halves_across, down=step < halves_down)
    covered = (plane.shape[1] << halves_across, plane.shape[0] << halves_down)
    if covered == (full_width, full_height):
        return np.asarray(cv2.resize(plane, (width, height)), np.uint8)
    across = full_width / width / 2**halves_across
    down = full_height / height / 2**halves_down
    matrix = np.array([[across, 0.0, across / 2 - 0.5], [0.0, down, down / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(
            plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


def _halvings(length: int, least: int) -> int:
    """Return how often `length` can be halved, rounded down, without getting under `least`."""
    return max(0, (length // least).bit_length() - 1)


def _halved(plane: Pixels, *, across: bool, down: bool) -> Pixels:
    """Return the plane at half its width, height or both, without an odd last column or row."""
    width, height = plane.shape[1] >> across, plane.shape[0] >> down
    even = plane[: height << down, : width << across]
    return np.asarray(cv2.resize(even, (width, height)), np.uint8)
