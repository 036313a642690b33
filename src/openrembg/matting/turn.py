"""The EXIF turn: stored pixels to upright ones."""

import cv2
import numpy as np

from openrembg.matting.layer import Pixels


def turn(pixels: Pixels, orientation: int) -> Pixels:
    """Return uint8[h, w, ...] upright, for an EXIF orientation of 1 to 8.

    Source: Exif 3.0 (CIPA DC-008), tag 274, Orientation.
    """
    if orientation == 1:
        return pixels
    if orientation == 2:
        return np.asarray(cv2.flip(pixels, 1), np.uint8)
    if orientation == 3:
        return np.asarray(cv2.rotate(pixels, cv2.ROTATE_180), np.uint8)
    if orientation == 4:
        return np.asarray(cv2.flip(pixels, 0), np.uint8)
    if orientation == 5:
        return np.asarray(cv2.transpose(pixels), np.uint8)
    if orientation == 6:
        return np.asarray(cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE), np.uint8)
    if orientation == 7:
        return np.asarray(cv2.flip(cv2.transpose(pixels), -1), np.uint8)
    return np.asarray(cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE), np.uint8)
