from pathlib import Path

import numpy as np
from benchmarks.photos import TILE_SIDE, paint, photo_file, side_of
from PIL import Image


def test_megapixels_become_the_side_of_a_square() -> None:
    assert [side_of(size) for size in (1, 9, 40, 100)] == [1000, 3000, 6325, 10000]


def test_photo_is_the_same_every_time() -> None:
    assert np.array_equal(paint(300), paint(300))


def test_photo_is_painted_once_and_is_a_jpeg_of_its_size(tmp_path: Path) -> None:
    path = photo_file(tmp_path / "photos", 0.04)
    painted = path.stat().st_mtime_ns

    assert photo_file(tmp_path / "photos", 0.04).stat().st_mtime_ns == painted
    with Image.open(path) as photo:
        assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (200, 200))


def test_subject_stands_out_from_the_background_in_every_stripe_of_a_large_photo() -> None:
    side = TILE_SIDE + 300
    photo = paint(side).astype(int)
    redness = photo[..., 0] - photo[..., 1]
    lower = slice(round(side * 0.7), side)

    jumper = redness[lower, round(side * 0.45) : round(side * 0.55)].mean(axis=1)
    meadow = redness[lower, : round(side * 0.1)].mean(axis=1)
    assert np.all(jumper > 80)
    assert np.all(meadow < 60)
