"""Calls of our Node client, each in a process of its own that must end by itself."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from services import clean_environment, program

PACKAGE: Final = Path(__file__).parents[2] / "clients" / "node"
CLIENT: Final = PACKAGE / "dist" / "index.js"
DRIVER: Final = Path(__file__).parent / "node_client_driver.cjs"
# What passes for a cut-out: the client looks at how it begins.
WEBP: Final = b"RIFF\x09\0\0\0WEBPa cut-out"
# Only to tell a process that hangs from one that is slow.
CALL_S: Final = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call. said: the driver's JSON; left: what lay in the temporary folder then."""

    said: dict[str, Any]
    left: list[str]

    @property
    def picture(self) -> bytes:
        """The cut-out."""
        assert "error" not in self.said, self.said["error"]
        text = self.said.get("bytes") or self.said["base64Image"].partition(",")[2]
        return base64.b64decode(text)

    @property
    def info(self) -> dict[str, Any]:
        """What the client tells about the cut-out."""
        assert "error" not in self.said, self.said["error"]
        return dict(self.said["info"])

    @property
    def error(self) -> dict[str, Any]:
        """What the call ended with: the error's own properties, its name, message and classes."""
        assert "error" in self.said, self.said
        return dict(self.said["error"])

    @property
    def summary(self) -> tuple[str, str]:
        """The error's class and message."""
        return self.error["name"], self.error["message"]


def call_node(
    folder: Path,
    base_url: str,
    kind: str = "nothing",
    value: object = None,
    *,
    environment: dict[str, str] | None = None,
    driver: dict[str, object] | None = None,
    **call: object,
) -> Outcome:
    """Call the client once. folder: its temporary files go into one that is made there.

    driver: more words for the driver; call: more arguments for the client.
    """
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    asked = {"kind": kind, "value": value, "call": {"baseUrl": base_url, **call}, **(driver or {})}
    done = subprocess.run(
        [program("node"), str(DRIVER), str(CLIENT), json.dumps(asked, default=str)],
        env={**clean_environment(), "TMPDIR": str(temporary), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    left = sorted(path.name for path in temporary.iterdir())
    return Outcome(json.loads(done.stdout), left)


def run_script(script: str, url: str, folder: Path, *more: str) -> str:
    """Run a script with the client's path, a server and more as its arguments.

    It must end by itself, and well; returns what it prints.
    """
    done = subprocess.run(
        [program("node"), "-e", script, str(CLIENT), url, *more],
        env={**clean_environment(), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=CALL_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout
