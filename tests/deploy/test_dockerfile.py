"""deploy/Dockerfile as far as it can be judged without Docker; try_dockerfile.py carries it out."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from dockerfile_steps import DOCKERFILE, ROOT, DockerfileError, Step, context_files, read_recipe

from services import Service, free_port

RECIPE = read_recipe(DOCKERFILE.read_text())
BUILD, LAST = RECIPE.stages
IGNORE = (ROOT / ".dockerignore").read_text()


def test_it_is_built_in_one_stage_and_runs_from_another_on_the_same_base() -> None:
    assert (BUILD.name, LAST.name) == ("build", "")
    assert BUILD.base == LAST.base == "${BASE}"
    assert RECIPE.arguments == {"BASE": "python:3.11-slim-bookworm"}


def test_it_runs_as_somebody_without_rights_known_by_number() -> None:
    assert re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", LAST.the("USER").words)


def test_its_program_gets_signals_itself() -> None:
    assert LAST.the("ENTRYPOINT").json() == ["openrembg"]
    assert LAST.the("CMD").json() == ["serve"]
    assert LAST.the("STOPSIGNAL").words == "SIGTERM"


def test_what_is_copied_is_there_and_let_through() -> None:
    files = {str(path) for path in context_files(IGNORE)}
    for step in BUILD.all("COPY"):
        *sources, _target = step.words.split()
        for source in sources:
            assert any(file == source or file.startswith(f"{source}/") for file in files), source
    assert "src/openrembg/matting/weights/openrembg-v2.onnx" in files
    assert "requirements/server.txt" in files


def test_what_is_not_needed_does_not_go_to_the_builder() -> None:
    names = {path.parts[0] for path in context_files(IGNORE)}
    assert names == {
        "requirements",
        "src",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
    }
    assert not any("__pycache__" in path.parts for path in context_files(IGNORE))


def test_everything_installed_is_locked_by_hash() -> None:
    installs = re.findall(r"pip install .*?(?=;|$)", " ".join(s.words for s in BUILD.all("RUN")))
    assert len(installs) == 2
    assert "--require-hashes -r" in installs[0]
    assert "--no-deps dist/*.whl" in installs[1]


@pytest.mark.parametrize("step", [*BUILD.all("RUN"), *LAST.all("RUN")], ids=lambda s: s.words[:30])
def test_its_shell_commands_can_be_read(step: Step) -> None:
    subprocess.run(["sh", "-n", "-c", step.words], check=True)


def test_its_health_check_says_whether_somebody_answers(server: Service) -> None:
    _, _, command = LAST.the("HEALTHCHECK").words.partition(" CMD ")
    words = Step("HEALTHCHECK", command).json()

    def is_healthy(port: int) -> bool:
        environment = {"PATH": os.environ["PATH"], "OPENREMBG_PORT": str(port)}
        return subprocess.run(words, env=environment, stderr=subprocess.DEVNULL).returncode == 0

    assert is_healthy(server.port)
    assert not is_healthy(free_port())


def test_a_reader_of_dockerfiles_says_what_it_does_not_know() -> None:
    with pytest.raises(DockerfileError, match="before FROM"):
        read_recipe("RUN true\nFROM a")
    with pytest.raises(DockerfileError, match="exec form"):
        Step("CMD", "openrembg serve").json()
    with pytest.raises(DockerfileError, match="another kind"):
        list(context_files("*\nsrc/*.py", Path()))
