"""What every call has in common: help, version, completion, and a fast start."""

import tomllib
from pathlib import Path

import pytest
from cli_photos import Run, heavy_modules

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["remove", "--help"], ["models", "--help"], ["serve", "--help"], ["--version"]],
)
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    assert heavy_modules(arguments) == b"[]\n"


def test_help_names_every_verb(openrembg: Run) -> None:
    ended = openrembg("--help")
    assert ended.returncode == 0
    for verb in (b"remove", b"serve", b"models", b"doctor", b"--install-completion"):
        assert verb in ended.stdout


def test_the_version_is_the_packages(openrembg: Run) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    ended = openrembg("--version")
    assert ended.stdout.decode() == f"openrembg {project['version']}\n"


def test_an_unknown_verb_ends_with_2(openrembg: Run) -> None:
    assert openrembg("destroy").returncode == 2


def test_the_shell_is_told_how_to_complete(openrembg: Run) -> None:
    ended = openrembg(
        _OPENREMBG_COMPLETE="complete_bash", COMP_WORDS="openrembg mod", COMP_CWORD="1"
    )
    assert ended.stdout.split() == [b"models"]


def test_settings_of_the_environment_count_and_empty_ones_do_not(openrembg: Run) -> None:
    ended = openrembg("doctor", OPENREMBG_PROVIDER="", OPENREMBG_MODEL="", OPENREMBG_PORT="")
    assert ended.returncode == 0
    ended = openrembg("doctor", OPENREMBG_PROVIDER="ONNXRuntime", OPENREMBG_MODELS_DIR="/nowhere")
    assert b"onnxruntime CPU" in ended.stdout
    assert b"no model 'mine'" in openrembg("doctor", OPENREMBG_MODEL="mine").stdout
