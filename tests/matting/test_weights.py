"""Cards, finding models, and reading a file only when its checksum is right."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from openrembg.matting.errors import CorruptModel, UnknownModel
from openrembg.matting.weights import (
    DEFAULT_MODEL,
    KNOWN,
    PACKAGED_DIR,
    Weights,
    card_text,
    find_card,
    find_weights,
    installed,
    installed_names,
    is_model_name,
    read_card,
)

ROOT = Path(__file__).parents[2]


def place(folder: Path, model: str, data: bytes = b"weights", /, **changes: object) -> Path:
    """Put a model with a right card into a folder; `changes` replace values of the card."""
    card = json.loads((PACKAGED_DIR / "u2netp.json").read_text("utf-8"))
    card |= {
        "name": model,
        "file": f"{model}.onnx",
        "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "bytes": len(data),
    }
    card |= changes
    (folder / f"{model}.json").write_text(json.dumps(card), "utf-8")
    path = folder / f"{model}.onnx"
    path.write_bytes(data)
    return path


def test_shipped_model_has_the_checksum_of_its_card() -> None:
    weights = find_weights()
    data = weights.read()
    weights.verify()
    assert len(data) == weights.card.bytes
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == weights.card.digest


def test_shipped_card_agrees_with_the_file_about_names_and_size() -> None:
    import onnxruntime

    weights = find_weights()
    session = onnxruntime.InferenceSession(weights.read(), providers=["CPUExecutionProvider"])
    (photo,), outputs = session.get_inputs(), session.get_outputs()
    side = weights.card.input.side
    assert (photo.name, photo.shape) == (weights.card.input.name, [1, 3, side, side])
    named = (weights.card.output.name, weights.card.output.subject)
    assert [output.name for output in outputs] == [name for name in named if name is not None]


def test_only_one_line_of_the_source_names_the_shipped_model() -> None:
    lines = [
        line
        for path in (ROOT / "src").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if DEFAULT_MODEL in line
    ]
    assert lines == [f'DEFAULT_MODEL: Final = "{DEFAULT_MODEL}"']


def test_every_public_model_has_a_checksum_with_a_source_and_a_licence() -> None:
    assert {card.name for card in KNOWN} == {
        "u2net",
        "u2netp",
        "isnet-general-use",
        "birefnet-general",
        "birefnet-general-lite",
    }
    for card in KNOWN:
        raw = json.loads((PACKAGED_DIR / f"{card.name}.json").read_text("utf-8"))
        assert raw["digest"] == card.digest
        assert raw["digest_source"]
        assert raw["licence_source"].startswith("https://")
        assert card.licence in ("Apache-2.0", "MIT")


def test_birefnet_needs_a_sigmoid_and_the_others_do_not() -> None:
    activations = {card.name: card.output.activation for card in KNOWN}
    assert activations.pop("birefnet-general") == "sigmoid"
    assert activations.pop("birefnet-general-lite") == "sigmoid"
    assert set(activations.values()) == {"none"}


def test_one_changed_byte_is_found_by_read_and_by_verify(tmp_path: Path) -> None:
    path = place(tmp_path, "mine", b"0123456789")
    weights = find_weights("mine", tmp_path)
    assert weights.read() == b"0123456789"
    path.write_bytes(b"0123456780")
    with pytest.raises(CorruptModel, match="'mine' do not have the checksum"):
        weights.read()
    with pytest.raises(CorruptModel, match="'mine' do not have the checksum"):
        weights.verify()


def test_a_file_that_vanished_is_a_corrupt_model_without_its_path(tmp_path: Path) -> None:
    path = place(tmp_path, "mine")
    weights = find_weights("mine", tmp_path)
    path.unlink()
    for check in (weights.read, weights.verify):
        with pytest.raises(CorruptModel, match="cannot be read") as caught:
            check()
        assert str(tmp_path) not in str(caught.value)


def test_md5_is_good_enough_where_the_publisher_states_nothing_better(tmp_path: Path) -> None:
    digest = hashlib.md5(b"weights", usedforsecurity=False).hexdigest()
    place(tmp_path, "mine", digest=f"md5:{digest}")
    assert find_weights("mine", tmp_path).read() == b"weights"


def test_an_operators_model_is_found_and_listed(tmp_path: Path) -> None:
    place(tmp_path, "my-shoes_v1.2")
    assert find_weights("my-shoes_v1.2", tmp_path).path == tmp_path / "my-shoes_v1.2.onnx"
    assert [w.card.name for w in installed(tmp_path)] == [DEFAULT_MODEL, "my-shoes_v1.2"]
    assert [w.card.name for w in installed()] == [DEFAULT_MODEL]


def test_the_packaged_model_wins_over_one_of_the_same_name(tmp_path: Path) -> None:
    place(tmp_path, DEFAULT_MODEL, b"another")
    assert find_weights(DEFAULT_MODEL, tmp_path).path.parent == PACKAGED_DIR
    assert [w.path.parent for w in installed(tmp_path)] == [PACKAGED_DIR]


def test_an_unknown_name_is_answered_with_the_models_there_are(tmp_path: Path) -> None:
    place(tmp_path, "mine")
    with pytest.raises(UnknownModel) as caught:
        find_weights("u2net", tmp_path)
    assert "no model 'u2net' here" in str(caught.value)
    assert f"Installed: {DEFAULT_MODEL}, mine." in str(caught.value)
    assert "openrembg models pull" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../mine", "a/b", "a\\b", "/etc/passwd", "Mine", "mine\n", "mine\0", "-x", "ü"],
)
def test_hostile_names_never_reach_the_disk(name: str, tmp_path: Path) -> None:
    inner = tmp_path / "models"
    inner.mkdir()
    place(tmp_path, "mine")
    assert not is_model_name(name)
    with pytest.raises(UnknownModel):
        find_weights(name, inner)
    with pytest.raises(UnknownModel):
        find_card(name, inner)


def test_a_long_name_is_echoed_cut() -> None:
    with pytest.raises(UnknownModel) as caught:
        find_weights("x" * 10_000)
    assert len(str(caught.value)) < 400


def test_a_public_models_file_may_come_without_a_card(tmp_path: Path) -> None:
    (tmp_path / "u2netp.onnx").write_bytes(b"not the real one")
    weights = find_weights("u2netp", tmp_path)
    assert weights.card in KNOWN
    with pytest.raises(CorruptModel):
        weights.read()


def test_another_file_without_a_card_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"weights")
    with pytest.raises(CorruptModel, match=r"put mine\.json beside them"):
        find_weights("mine", tmp_path)
    assert installed_names(tmp_path) == (DEFAULT_MODEL, "mine")
    assert [w.card.name for w in installed(tmp_path)] == [DEFAULT_MODEL]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"digest": "sha256:abc"}, "'digest'"),
        ({"digest": "crc32:00000000"}, "'digest'"),
        ({"digest": 5}, "'digest' must be a text"),
        ({"file": "../../evil"}, "'file'"),
        ({"name": "other"}, "names another model"),
        ({"bytes": 0}, "'bytes'"),
        ({"bytes": True}, "'bytes'"),
        ({"licence": None}, "'licence'"),
        ({"input": []}, "input must be a JSON object"),
        ({"output": {}}, "'activation' is missing"),
    ],
)
def test_a_nonsense_card_is_refused(change: dict[str, object], reason: str, tmp_path: Path) -> None:
    place(tmp_path, "mine", b"weights", **change)
    with pytest.raises(CorruptModel, match=reason):
        find_weights("mine", tmp_path)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("input", "side", 0),
        ("input", "side", 320.0),
        ("input", "side", 1 << 20),
        ("input", "mean", [0, 0]),
        ("input", "mean", [0, 0, "0"]),
        ("input", "mean", [10**400, 0, 0]),
        ("input", "std", [1, 0, 1]),
        ("input", "divide_by_max", 1),
        ("output", "activation", "softmax"),
        ("output", "stretch", "yes"),
        ("output", "name", 3),
        ("output", "subject", 3),
        ("output", "subject", ["subject"]),
    ],
)
def test_a_card_out_of_range_is_refused(part: str, key: str, value: object, tmp_path: Path) -> None:
    raw = json.loads((PACKAGED_DIR / "u2netp.json").read_text("utf-8"))
    raw[part][key] = value
    (tmp_path / "u2netp.json").write_text(json.dumps(raw))
    with pytest.raises(CorruptModel, match="card of 'u2netp' cannot be used"):
        read_card(tmp_path / "u2netp.json")


def test_a_card_may_name_the_output_that_tells_whether_there_is_a_subject(tmp_path: Path) -> None:
    raw = json.loads((PACKAGED_DIR / "u2netp.json").read_text("utf-8"))
    path = tmp_path / "u2netp.json"
    for value in ("subject", None):
        raw["output"]["subject"] = value
        path.write_text(json.dumps(raw))
        assert read_card(path).output.subject == value
    assert all(card.output.subject is None for card in KNOWN)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\xff", "[" * 100_000])
def test_a_card_that_is_no_json_object_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptModel, match="card of 'mine' cannot be used"):
        read_card(tmp_path / "mine.json")


def test_a_written_card_reads_back_with_the_new_checksum_and_size(tmp_path: Path) -> None:
    card = KNOWN[0]
    digest = "sha256:" + "0" * 64
    path = tmp_path / f"{card.name}.json"
    path.write_text(card_text(card, digest, 7), "utf-8")
    assert read_card(path) == dataclasses.replace(card, digest=digest, bytes=7)


def test_the_operators_card_comes_before_the_public_one(tmp_path: Path) -> None:
    place(tmp_path, "u2netp")
    assert find_card("u2netp") in KNOWN
    assert find_card("u2netp", tmp_path).digest.startswith("sha256:")


def test_a_wheel_carries_the_weights_and_the_module_wins_over_the_folder(tmp_path: Path) -> None:
    """`weights.py` and the data folder `weights/` share a name; the folder has no __init__.

    The benchmark's own weights stay out.
    """
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    source = tmp_path / "source"
    for folder in ("src", "benchmarks"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    made = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)],
        cwd=source,
        check=True,
        capture_output=True,
        text=True,
    )
    with zipfile.ZipFile(tmp_path / made.stdout.split()[-1]) as wheel:
        assert all(name.startswith("openrembg") for name in wheel.namelist())
        wheel.extractall(tmp_path / "site")
    probe = (
        "import openrembg.matting.weights as w; print(w.__file__); "
        "print(len(w.find_weights().read()), len(w.KNOWN))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", probe],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    )
    where, facts = seen.stdout.splitlines()
    assert Path(where) == tmp_path / "site/openrembg/matting/weights.py"
    assert facts == f"{find_weights().card.bytes} {len(KNOWN)}"


def test_weights_are_read_from_where_they_say(tmp_path: Path) -> None:
    path = place(tmp_path, "mine")
    assert find_weights("mine", tmp_path) == Weights(read_card(tmp_path / "mine.json"), path)
