"""Disks of a few megabytes that a test fills and empties, and programs that see them.

They are file systems in memory, in a mount namespace of their own (mount_namespaces(7)), so that
nobody else sees them and they end with the process that holds them. Nobody has to be root for it.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
PIECE_BYTES: Final = 4096
FILLER: Final = "filler"
_MAKE: Final = (
    'while [ $# -gt 1 ]; do mount -t tmpfs -o "size=$2" none "$1" || exit 1; shift 2; done'
)


@dataclass(frozen=True, slots=True)
class SmallDisks:
    """Folders that are disks of their own. holder: the process whose namespace they are in."""

    holder: int

    @property
    def within(self) -> Sequence[str]:
        """The words that run a program where the disks are."""
        words = ["nsenter", f"--mount=/proc/{self.holder}/ns/mnt"]
        if os.getuid():
            words += [f"--user=/proc/{self.holder}/ns/user", "--preserve-credentials"]
        return words

    def seen(self, path: Path) -> Path:
        """Return where this process finds what the others find at `path`."""
        return Path(f"/proc/{self.holder}/root{path}")

    def fill(self, folder: Path, *, leave_bytes: int = 0) -> None:
        """Leave no room, or only so many bytes, on the disk of this folder."""
        with self.seen(folder / FILLER).open("ab", buffering=0) as file:
            while (free := _free_bytes(file.fileno()) - leave_bytes) >= PIECE_BYTES:
                file.write(bytes(min(free, MIB)))

    def free(self, folder: Path) -> None:
        """Make room again."""
        self.seen(folder / FILLER).unlink()


@contextmanager
def small_disks(sizes: Mapping[Path, int]) -> Iterator[SmallDisks]:
    """Put a disk of so many bytes at each of these folders, which are made."""
    for folder in sizes:
        folder.mkdir(parents=True, exist_ok=True)
    words = [word for folder, size in sizes.items() for word in (str(folder), str(size))]
    rights = ["-m"] if os.getuid() == 0 else ["-rm"]
    command = ["unshare", *rights, "sh", "-c", f"{_MAKE}; echo made; exec cat", "sh", *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == b"made\n", "no disk could be made"
        yield SmallDisks(holder.pid)
        holder.stdin.close()


def _free_bytes(descriptor: int) -> int:
    state = os.fstatvfs(descriptor)
    return state.f_bavail * state.f_frsize
