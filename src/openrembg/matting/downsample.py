"""Squeeze a photo to the size at which a network, or a smooth guess, is computed."""

import cv2
import numpy as np

from openrembg.matting.layer import Pixels


def downsample(plane: Pixels, width: int, height: int) -> Pixels:
    """Return uint8[height, width, ...] of uint8[h, w, ...]; grows too, when the plane is smaller.

    Exact halvings first (OpenCV's area filter is vectorised for a factor of two and ten times
    slower for any other), then one bilinear step of less than two on the exact coordinates.
    """
    full_height, full_width = plane.shape[:2]
    halvings = 0
    while plane.shape[1] >= 2 * width and plane.shape[0] >= 2 * height:
        half = (plane.shape[1] // 2, plane.shape[0] // 2)
        even = plane[: half[1] * 2, : half[0] * 2]
        plane = np.asarray(cv2.resize(even, half, interpolation=cv2.INTER_AREA), np.uint8)
        halvings += 1
    if plane.shape[1] > 2 * width or plane.shape[0] > 2 * height:
        return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))
    across = full_width / width / 2**halvings
    down = full_height / height / 2**halvings
    matrix = np.array([[across, 0.0, across / 2 - 0.5], [0.0, down, down / 2 - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(
            plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )
