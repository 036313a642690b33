"""A model file that is not what its card says: the server has no model, and says why."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from mixed_load import assert_the_books_agree, mixed_load

from forms import photo, post, send
from houses import House, usage
from openrembg.matting.weights import DEFAULT_MODEL, PACKAGED_DIR, Card, card_text, read_card
from openrembg.server.inference.backend import Backend, backend_for
from openrembg.server.inference.local import DOES_NOT_RUN
from openrembg.server.settings import Settings
from pictures import picture

SHIPPED: Final = PACKAGED_DIR / f"{DEFAULT_MODEL}.onnx"
CARD: Final = replace(read_card(SHIPPED.with_suffix(".json")), name="mine")
WRONG_SUM: Final = "The weights of 'mine' do not have the checksum that their card states."


def card_of(data: bytes, card: Card = CARD) -> str:
    """Return a card for the very bytes of a file."""
    return card_text(card, f"sha256:{hashlib.sha256(data).hexdigest()}", len(data) or 1)


def put(folder: Path, data: bytes, card: str) -> None:
    """Put a model there."""
    (folder / "mine.onnx").write_bytes(data)
    (folder / "mine.json").write_text(card)


def truncated(folder: Path) -> None:
    data = SHIPPED.read_bytes()
    put(folder, data[: len(data) // 2], card_of(data))


def other_bytes(folder: Path) -> None:
    data = bytearray(SHIPPED.read_bytes())
    data[len(data) // 2] ^= 1
    put(folder, bytes(data), card_of(SHIPPED.read_bytes()))


def empty(folder: Path) -> None:
    put(folder, b"", card_of(SHIPPED.read_bytes()))


def another_card(folder: Path) -> None:
    put(folder, SHIPPED.read_bytes(), card_of(b"something else"))


def no_model_at_all(folder: Path) -> None:
    put(folder, b"no network" * 100, card_of(b"no network" * 100))


def another_shape(folder: Path) -> None:
    data = SHIPPED.read_bytes()
    shape = replace(CARD, input=replace(CARD.input, side=CARD.input.side // 2))
    put(folder, data, card_of(data, shape))


def unreadable(folder: Path) -> None:
    # Not by its mode, which does not keep root out: reading this file at 0 is an error.
    (folder / "mine.onnx").symlink_to("/proc/self/mem")
    (folder / "mine.json").write_text(card_of(b"something"))


def a_folder(folder: Path) -> None:
    (folder / "mine.onnx").mkdir()


def no_json(folder: Path) -> None:
    put(folder, SHIPPED.read_bytes(), "{")


DAMAGES: Final[dict[Callable[[Path], None], str]] = {
    truncated: WRONG_SUM,
    other_bytes: WRONG_SUM,
    empty: WRONG_SUM,
    another_card: WRONG_SUM,
    no_model_at_all: DOES_NOT_RUN,
    another_shape: DOES_NOT_RUN,
    unreadable: "The weights of 'mine' cannot be read (Input/output error).",
    a_folder: "There is no model 'mine' here.",
    no_json: "The card of 'mine' cannot be used: ",
}


def loaded(folder: Path) -> Backend:
    """Try to load the model `mine` of a folder."""
    return backend_for(Settings(data_dir=folder, model="mine", models_dir=folder, threads=1))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_model_is_not_loaded_and_the_reason_is_a_line(
    damage: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(tmp_path)
    with caplog.at_level(logging.ERROR, "openrembg.inference"):
        state = loaded(tmp_path).wait()
    assert state.status == "failed"
    assert state.reason.startswith(DAMAGES[damage])
    assert "\n" not in state.reason
    (line,) = caplog.records
    assert line.exc_info is None
    fields = getattr(line, "fields")  # noqa: B009 (mypy does not know it)
    assert fields["reason"] == state.reason
    assert "\n" not in fields.get("detail", "")


def models_of(folder: Path) -> dict[str, str]:
    """Return the settings of a server with its model in a folder of its own, made."""
    models = folder / "models"
    models.mkdir()
    return {"OPENREMBG_MODEL": "mine", "OPENREMBG_MODELS_DIR": str(models)}


@pytest.mark.wire
def test_a_server_without_its_model_serves_all_but_pictures(
    home: House, key: str, tmp_path: Path
) -> None:
    own = models_of(tmp_path)
    truncated(tmp_path / "models")
    server = home.start(status="failed", **own)
    ready = send(server, "GET", "/ready")
    assert (ready.status, ready.json["reason"]) == (503, WRONG_SUM)
    before = usage(server, key)
    answer = post(server, photo(picture()), headers={"X-Api-Key": key})
    assert (answer.status, answer.json["code"]) == (503, "not_ready")
    assert answer.headers["Retry-After"]
    assert answer.headers["X-Credits-Charged"] == "0"
    assert usage(server, key) == before
    assert home.reservations() == home.undelivered() == 0
    pages = ("/en/", "/en/account/login/", "/health", "/api/openapi")
    assert {send(server, "GET", page).status for page in pages} == {200}
    (line,) = [line for line in server.text().splitlines() if "has no model" in line]
    assert json.loads(line)["reason"] == WRONG_SUM


@pytest.mark.wire
def test_a_file_that_is_replaced_while_it_is_served_changes_nothing(
    home: House, key: str, tmp_path: Path
) -> None:
    own, file = models_of(tmp_path), tmp_path / "models" / "mine.onnx"
    put(file.parent, SHIPPED.read_bytes(), card_of(SHIPPED.read_bytes()))
    server = home.start(**own)
    with mixed_load([server], key, clients=3) as load:
        load.wait_for(4)
        file.write_bytes(b"no network")
        load.wait_for(8)
        file.unlink()
        load.wait_for(8)
    assert not load.unexpected()
    assert_the_books_agree(home, server, load)
