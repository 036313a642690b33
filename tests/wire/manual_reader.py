"""A reader of the documentation: copies examples, puts a key in and runs them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from openrembg.server.manual import examples
from pictures import picture
from services import Service, clean_environment, openrembg_admin, program

NODE_MODULES: Final = Path(__file__).parent / "node" / "node_modules"
EXAMPLE_S: Final = 120
WIDTH, HEIGHT = 300, 240
PHOTO_NAME: Final = "photo.jpg"
# What people call their photos, and what shells and libraries stumble over.
PHOTO_STEMS: Final = ("a", "b c", "Smith, John;x", "写真 #1", 'the "best"')


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody with a server, a key and a folder with photos."""

    server: Service
    key: str
    folder: Path

    def text(self, name: str) -> str:
        """Return an example as this reader copies it from the page."""
        return examples.for_reader(name, self.server.url).replace(examples.KEY, self.key)

    def begins(self, name: str, text: str = "") -> "subprocess.Popen[str]":
        """Start an example in the folder; text: what the reader made of it."""
        file = self.folder / name
        file.write_text((text or self.text(name)) + "\n", "utf-8")
        command = {".sh": [program("bash"), "-eu"], ".py": [sys.executable, "-W", "error"]}
        return subprocess.Popen(
            [*command.get(file.suffix, [program("node")]), name],
            cwd=self.folder,
            env={
                **clean_environment(),
                "PATH": programs(),
                "OPENREMBG_DATA_DIR": str(data_of(self.server)),
                "NODE_PATH": str(NODE_MODULES),
                "TMPDIR": str(self.folder),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def runs(self, name: str, text: str = "") -> str:
        """Run an example, which must succeed, and return what it prints."""
        return finished(self.begins(name, text))

    def picture(self, name: str) -> bytes:
        """Return a file that an example left in the folder."""
        return (self.folder / name).read_bytes()


def finished(process: "subprocess.Popen[str]") -> str:
    """Wait for an example, which must succeed, and return what it prints."""
    with process:
        output, errors = process.communicate(timeout=EXAMPLE_S)
    assert process.returncode == 0, errors + output
    return output


def furnished(folder: Path) -> Path:
    """Put into a folder what the examples want to find."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    jpeg = picture("JPEG", WIDTH, HEIGHT)
    for path in (folder / PHOTO_NAME, *(photos / f"{stem}.jpg" for stem in PHOTO_STEMS)):
        path.write_bytes(jpeg)
    (photos / "broken.jpg").write_bytes(jpeg[:200])
    (folder / "notes.txt").write_text("no picture")
    return folder


def programs() -> str:
    """Return a PATH on which our own program is too."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def data_of(server: Service) -> Path:
    """Return the data folder of a server of the tests."""
    return Path(server.log).parent / "data"


def key_on(server: Service) -> str:
    """Return the key of a new account with many credits on a server."""
    data = {"OPENREMBG_DATA_DIR": str(data_of(server))}
    openrembg_admin(data, "plan", "Many", "--credits", "1000", "--per-minute", "1000")
    openrembg_admin(data, "create-user", "ada@example.com", "--verified", "--plan", "Many")
    return openrembg_admin(data, "create-key", "ada@example.com").split()[-1]
