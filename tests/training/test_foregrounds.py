"""The measurement of foreground colours, on cut-outs that are made here."""

import random

import cv2
import numpy as np
import pytest
from training.data import Archive, Item
from training.foregrounds import (
    METHODS,
    Case,
    as_they_are,
    cases,
    checkerboard,
    evaluate,
    seen_error,
)

SIDE = 96


def ball(index: int) -> bytes:
    """Return a file of a shaded ball with a soft edge on a transparent ground."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[0:120, 0:120] / 60 - 1
    alpha = ((0.9 - np.hypot(x, y)) * 12).clip(0, 1) * 255
    shade = 0.6 + 0.3 * x + 0.1 * y
    colours = shade[..., None] * rng.integers(60, 256, 3)
    return cv2.imencode(".png", np.dstack([colours, alpha]).astype(np.uint8))[1].tobytes()


def room(index: int) -> bytes:
    board = checkerboard(80, random.Random(index))
    return cv2.imencode(".png", cv2.GaussianBlur(board, (9, 9), 0))[1].tobytes()


@pytest.fixture
def archive() -> Archive:
    return Archive(
        pairs=(),
        backgrounds=tuple(Item(f"photos/houses_rooms/{i}", room(i), None) for i in range(3)),
        cutouts=tuple(Item(f"cutouts/balls/{i}", ball(i), None) for i in range(4)),
        held_out=(),
        held_out_photos=(),
    )


def test_every_method_is_measured_and_ours_beats_leaving_colours_as_they_are(
    archive: Archive,
) -> None:
    numbers = evaluate(archive, {SIDE: 8})[f"{SIDE}x{SIDE}"]
    assert isinstance(numbers, dict)
    for matte, most in (("true", 0.5), ("blurred", 0.95)):
        for ground in ("checkerboard", "photo"):
            errors = numbers[matte][ground]
            assert set(errors) == set(METHODS)
            assert 0 < errors["ours"] < most * errors["as_they_are"]
    assert numbers["ms"]["pymatting"] > 0


def test_the_true_colours_under_the_true_matte_are_without_error(archive: Archive) -> None:
    for case in cases(archive, SIDE, 4):
        assert seen_error(case, case.colours, case.alpha, random.Random(0)) == 0
        assert seen_error(case, case.photo, case.alpha, random.Random(0)) > 1


def test_a_composite_is_the_cut_out_over_another_ground(archive: Archive) -> None:
    grounds = set()
    for case in cases(archive, SIDE, 4):
        grounds.add(case.ground)
        assert np.array_equal(case.photo[case.alpha == 255], case.colours[case.alpha == 255])
        assert (case.alpha == 0).any()
        assert ((case.alpha > 5) & (case.alpha < 250)).any()
    assert grounds == {"checkerboard", "photo"}


def test_composites_are_the_same_every_time(archive: Archive) -> None:
    first, second = list(cases(archive, SIDE, 4)), list(cases(archive, SIDE, 4))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.photo, other.photo)


def test_the_error_counts_what_is_seen_in_the_soft_band_alone() -> None:
    alpha = np.zeros((10, 10), np.uint8)
    alpha[:, 4], alpha[:, 5:] = 51, 255
    truth = np.full((10, 10, 3), 100, np.uint8)
    wrong = as_they_are(truth, alpha).copy()
    wrong[:, 4] = 150
    wrong[:, 5:] = 0
    case = Case("photo", truth, truth, alpha)
    assert seen_error(case, wrong, alpha, random.Random(0)) == pytest.approx(50 * 51 / 255)
