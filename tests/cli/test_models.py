"""`openrembg models`: list, pull from a plain local web server, verify."""

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cli_photos import Run
from typer.testing import CliRunner

from openrembg.cli import app
from openrembg.matting.weights import DEFAULT_MODEL, KNOWN, PACKAGED_DIR, find_weights


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """Serve the folder `mirror` and return its address."""
    (tmp_path / "mirror").mkdir()
    handler = partial(_Silent, directory=str(tmp_path / "mirror"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Make a models folder with the card of a model `mine` that the mirror can give."""
    card = json.loads((PACKAGED_DIR / "u2netp.json").read_text("utf-8"))
    card |= {
        "name": "mine",
        "file": "Mine-epoch_1.onnx",
        "digest": f"sha256:{hashlib.sha256(b'weights').hexdigest()}",
    }
    (tmp_path / "models").mkdir()
    (tmp_path / "models/mine.json").write_text(json.dumps(card))
    return tmp_path / "models"


def call(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["models", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


def test_the_list_shows_the_shipped_and_the_public_models_with_size_and_licence() -> None:
    code, out, _ = call("list")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    card = find_weights().card
    assert card.bytes is not None
    size, side = f"{card.bytes / 1e6:.1f} MB", f"{card.input.side} px"
    assert rows[0][:5] == [DEFAULT_MODEL, "default", size, side, "Apache-2.0"]
    assert {row[0] for row in rows[1:]} == {card.name for card in KNOWN}
    assert {row[1] for row in rows[1:]} == {"can be pulled"}
    assert all(row[2].endswith(" MB") and row[4] in ("Apache-2.0", "MIT") for row in rows)


def test_a_model_is_pulled_listed_and_verified(
    mirror: str, models: Path, tmp_path: Path, openrembg: Run
) -> None:
    (tmp_path / "mirror/Mine-epoch_1.onnx").write_bytes(b"weights")
    ended = openrembg(
        "models", "pull", "mine", OPENREMBG_MODELS_URL=mirror, OPENREMBG_MODELS_DIR=str(models)
    )
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert ended.stderr.startswith(f"mine is in {models}/mine.onnx, sha256:".encode())
    assert (models / "mine.onnx").read_bytes() == b"weights"
    assert "mine\tinstalled\t0.0 MB" in call("list", "--models-dir", models)[1]
    code, out, _ = call("verify", "--models-dir", models)
    assert code == 0
    assert [line.split("\t")[:2] for line in out.splitlines()] == [
        [DEFAULT_MODEL, "ok"],
        ["mine", "ok"],
    ]


def test_a_wrong_file_is_refused_and_nothing_is_left(
    mirror: str, models: Path, tmp_path: Path
) -> None:
    (tmp_path / "mirror/u2netp.onnx").write_bytes(b"not u2netp")
    (tmp_path / "mirror/Mine-epoch_1.onnx").write_bytes(b"weights")
    code, _, said = call("pull", "u2netp", "mine", "--models-dir", models, "--base-url", mirror)
    assert code == 1
    assert "'u2netp' does not have the checksum" in said
    assert sorted(path.name for path in models.iterdir()) == ["mine.json", "mine.onnx"]


def test_names_that_are_no_model_are_refused(mirror: str, models: Path) -> None:
    for name in ("../mine", "nothing", "http://elsewhere/x"):
        code, _, said = call("pull", name, "--models-dir", models, "--base-url", mirror)
        assert (code, "There is no model" in said) == (1, True)


def test_the_shipped_model_needs_no_pull(models: Path) -> None:
    code, _, said = call("pull", DEFAULT_MODEL, "--models-dir", models)
    assert (code, str(PACKAGED_DIR) in said) == (0, True)


def test_verify_finds_a_changed_file_and_one_without_a_card(models: Path) -> None:
    (models / "mine.onnx").write_bytes(b"rot")
    (models / "stray.onnx").write_bytes(b"x")
    code, out, _ = call("verify", "--models-dir", models)
    states = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()}
    assert code == 1
    assert states["mine"] == [
        "WRONG",
        "The weights of 'mine' do not have the checksum that their card states.",
    ]
    assert states["stray"][0] == "WRONG"
    assert "stray: its card is missing" in call("list", "--models-dir", models)[2]
