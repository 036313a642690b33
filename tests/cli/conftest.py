"""The command line as a real process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_photos import Run, environment


@pytest.fixture
def openrembg(tmp_path: Path) -> Run:
    """Run the command line in the test's own folder and return how it ended."""

    def run(*arguments: str | bytes, stdin: bytes = b"", **settings: str) -> object:
        return subprocess.run(
            [sys.executable, "-m", "openrembg", *arguments],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            env=environment(tmp_path) | settings,
            check=False,
            timeout=120,
        )

    return run  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("OPENREMBG_", "REMBG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENREMBG_DATA_DIR", str(tmp_path / "data-folder"))
