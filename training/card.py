"""Write the card of a model that ships, the page of the model, and the page's pictures.

    .venv/bin/python -m training.card                    the card, and docs/model.md
    .venv/bin/python -m training.card --photos FOLDER    also docs/model/*.webp, from these photos

The model is DEFAULT_MODEL of openrembg/matting/weights.py. This needs no PyTorch. What
it puts together lies in the repository:

- src/openrembg/matting/weights/NAME.onnx, for its size and checksum;
- training/cards/NAME.toml, written by hand: what the model takes and gives, data, failures;
- training/cards/NAME.numbers.json, printed by training.evaluate, and that of an earlier model;
- the recipes that the TOML names; training/cards/in-a-browser.md.

tests/test_model_card.py compares the card and the page with what this makes.
"""

import argparse
import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from openrembg.matting.weights import DEFAULT_MODEL, PACKAGED_DIR, read_card
from training.page import page, shown_pictures
from training.pictures import draw

ROOT: Final = Path(__file__).resolve().parent.parent
CARDS: Final = ROOT / "training" / "cards"
PAGE: Final = ROOT / "docs" / "model.md"
PICTURES: Final = ROOT / "docs" / "model"


def build(name: str) -> dict[str, Any]:
    """Return the card of a packaged model, ready for JSON."""
    weights = (PACKAGED_DIR / f"{name}.onnx").read_bytes()
    prose = tomllib.loads((CARDS / f"{name}.toml").read_text(encoding="utf-8"))
    training, shown = prose["training"], shown_pictures(prose)
    return {
        "name": name,
        "file": f"{name}.onnx",
        "digest": f"sha256:{hashlib.sha256(weights).hexdigest()}",
        "bytes": len(weights),
        **prose,
        "training": {**training, "stages": [_with_settings(one) for one in training["stages"]]},
        "pictures": [one for one in prose["pictures"] if one["name"] in shown],
        "numbers": {**_numbers(name), **prose["numbers"]},
        "baseline": {"name": prose["baseline"], "numbers": _numbers(prose["baseline"])},
    }


def _with_settings(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stage of training with its recipe's keys, where it names one."""
    if "recipe" not in stage:
        return dict(stage)
    return {**stage, "settings": tomllib.loads((ROOT / stage["recipe"]).read_text())}


def _numbers(name: str) -> dict[str, Any]:
    numbers: dict[str, Any] = json.loads((CARDS / f"{name}.numbers.json").read_text())
    return numbers


def build_page(card: Mapping[str, Any]) -> str:
    """Return the page of a card."""
    return page(card, (CARDS / "in-a-browser.md").read_text(encoding="utf-8"))


def to_json(card: Mapping[str, Any]) -> str:
    """Return the text of a card's file."""
    return json.dumps(card, indent=2, ensure_ascii=False) + "\n"


def write_pictures(card: Mapping[str, Any], photos: Path, folder: Path = PICTURES) -> None:
    """Draw the card's pictures into a folder, and remove all others there.

    photos: a folder with the files that the pictures name.
    """
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    for one in card["pictures"]:
        crop = tuple(one["crop"]) if "crop" in one else None
        drawn = draw((photos / one["file"]).read_bytes(), crop)
        (folder / f"{one['name']}.webp").write_bytes(drawn)


def main() -> None:
    """Write all, and read the card again as the package does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=Path, help="draw the pictures again from this folder")
    arguments = parser.parse_args()
    card = build(DEFAULT_MODEL)
    path = PACKAGED_DIR / f"{DEFAULT_MODEL}.json"
    path.write_text(to_json(card), encoding="utf-8")
    read_card(path)
    PAGE.write_text(build_page(card), encoding="utf-8")
    if arguments.photos is not None:
        write_pictures(card, arguments.photos)


if __name__ == "__main__":
    main()
