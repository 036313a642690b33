"""The card of the model that ships, its page and the page's pictures."""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from training.card import build, build_page, to_json, write_pictures
from training.number_tables import number_tables, table, tables_of
from training.page import FREE_LICENCES
from training.pictures import GAP_PX, HALF_PX, MAX_BYTES, draw

from openrembg.matting.weights import DEFAULT_MODEL, PACKAGED_DIR, find_weights

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "model.md").read_text(encoding="utf-8")
PICTURES = sorted((ROOT / "docs" / "model").iterdir())
CARD: dict[str, Any] = json.loads((PACKAGED_DIR / f"{DEFAULT_MODEL}.json").read_text("utf-8"))
PICTURES_BYTES = 600_000
SUMMARY = {"n": 3, "mae": 0.25, "iou": 0.75}


def leaves(values: Mapping[str, Any]) -> Iterator[object]:
    """Yield the values of nested mappings."""
    for value in values.values():
        if isinstance(value, Mapping):
            yield from leaves(value)
        else:
            yield value


def shown_pictures() -> set[str]:
    return {one["picture"] for one in CARD["results"] + CARD["known_failures"] if "picture" in one}


def test_card_is_what_the_training_folder_makes_of_the_weights() -> None:
    assert (PACKAGED_DIR / f"{DEFAULT_MODEL}.json").read_text("utf-8") == to_json(
        build(DEFAULT_MODEL)
    )


def test_page_is_what_the_card_makes() -> None:
    assert build_page(CARD) == PAGE


def test_page_says_first_that_it_is_written_by_a_program() -> None:
    first = PAGE.splitlines()[0]
    assert "python -m training.card" in first
    assert f"training/cards/{DEFAULT_MODEL}.toml" in first


def test_page_states_the_size_checksum_and_licence_of_the_file() -> None:
    weights = find_weights(DEFAULT_MODEL)
    data = weights.path.read_bytes()
    assert f"`{DEFAULT_MODEL}.onnx`, {len(data):,} bytes" in PAGE
    assert f"`{hashlib.sha256(data).hexdigest()}`" in PAGE
    assert f"| licence | {weights.card.licence} |" in PAGE


def test_numbers_were_measured_on_the_file_that_ships() -> None:
    assert CARD["numbers"]["speed"]["bytes"] == CARD["bytes"]


def test_page_states_every_number_of_the_card() -> None:
    numbers = list(leaves(CARD["numbers"]))
    assert len(numbers) > 20
    cells = {cell.strip() for line in PAGE.splitlines() for cell in line.split("|")}
    assert {str(number) for number in numbers if number is not None} <= cells


def test_page_names_every_source_of_data_and_its_licence() -> None:
    named = {one["folder"] for one in CARD["data"]}
    assert CARD["numbers"]["sources"].keys() | CARD["numbers"]["false_alarms"].keys() <= named
    for one in CARD["data"]:
        start = f"| `{one['folder']}` | {one['count']:,} |"
        (row,) = (line for line in PAGE.splitlines() if line.startswith(start))
        assert f"| {one['licence']} |" in row
        assert one["licence"]


def test_every_stage_of_training_took_time_and_samples() -> None:
    stages = CARD["training"]["stages"]
    assert all(stage["seconds"] > 0 and stage["samples"] > 0 for stage in stages)


def test_page_shows_failures_with_pictures() -> None:
    failures = [one for one in CARD["known_failures"] if "picture" in one]
    assert len(failures) >= 3
    assert all(f"](model/{one['picture']}.webp)" in PAGE for one in failures)


def test_pictures_are_those_that_the_card_shows() -> None:
    assert {path.name for path in PICTURES} == {f"{name}.webp" for name in shown_pictures()}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: str(path.name))
def test_picture_is_a_small_webp_file(path: Path) -> None:
    with Image.open(path) as picture:
        assert picture.format == "WEBP"
        assert picture.width <= 2 * HALF_PX[0] + GAP_PX
    assert path.stat().st_size < MAX_BYTES


def test_pictures_together_are_small() -> None:
    assert sum(path.stat().st_size for path in PICTURES) < PICTURES_BYTES


def test_photos_are_free_and_their_authors_named() -> None:
    by_name = {one["name"]: one for one in CARD["pictures"]}
    for name in shown_pictures():
        assert by_name[name]["licence"] in FREE_LICENCES
        assert f"| {by_name[name]['title']} | {by_name[name]['author']} |" in PAGE


def test_picture_has_photo_and_cutout_of_the_crop_side_by_side() -> None:
    photo = np.full((90, 160, 3), (20, 120, 220), np.uint8)
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    with Image.open(io.BytesIO(draw(file.getvalue(), (0, 0, 80, 40)))) as picture:
        assert picture.size == (2 * 316 + GAP_PX, 158)
        pixels = np.asarray(picture.convert("RGB"))
    assert np.allclose(pixels[80, 150], (20, 120, 220), atol=4)
    assert np.allclose(pixels[80, 480], (255, 0, 255), atol=4)


def test_pictures_that_the_card_has_no_more_are_removed(tmp_path: Path) -> None:
    drawn = tmp_path / "model"
    drawn.mkdir()
    (drawn / "old.webp").write_bytes(b"")
    Image.new("RGB", (64, 48), "grey").save(tmp_path / "grey.png")
    write_pictures({"pictures": [{"name": "new", "file": "grey.png"}]}, tmp_path, drawn)
    assert [path.name for path in drawn.iterdir()] == ["new.webp"]


def test_numbers_without_a_name_here_are_on_the_page_too() -> None:
    numbers = {
        **SUMMARY,
        "new_share": 0.123,
        "night": {**SUMMARY, "mae": 0.5},
        "sources": {"pairs/discs": {**SUMMARY, "iou": 0.875}},
        "deep": {"one": {"two": {"three": 0.0625}, "none": None}, "empty": {"none": None}},
    }
    baseline = {"name": "old", "numbers": {"mae": 0.375, "sources": {"pairs/discs": {"iou": 0.1}}}}
    text = "\n".join(number_tables("new", numbers, baseline))
    assert "| MAE | 0.25 | 0.375 |" in text
    assert "| new share | 0.123 | – |" in text
    assert "| night | 3 | 0.5 | 0.75 | – |" in text
    assert "| `pairs/discs` | 3 | 0.25 | 0.875 | 0.1 |" in text
    assert "0.0625" in text
    assert "none" not in text
    assert "empty" not in text


def test_nothing_measured_makes_no_table() -> None:
    assert tables_of("speed", None) == []


def test_a_cell_that_would_break_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="a cell of a table"):
        table(("a", "b"), [["1", "2 | 3"]])
