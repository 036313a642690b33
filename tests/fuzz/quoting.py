"""Names of files as a terminal and a shell may see them."""

import os
import shlex
from pathlib import Path
from typing import Final

# What may stand for itself in bash's $'…'.
PLAIN: Final = frozenset(range(0x20, 0x7F)) - set(b"\\'")


def shown(path: Path) -> str:
    """Return a path for a line of text: as it is, or escaped when it would steer the terminal."""
    return str(path) if str(path).isprintable() else ascii(str(path))


def shell_word(text: str) -> str:
    """Return a word for a shell; bash's $'…' where control characters or other bytes are in it."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = (chr(byte) if byte in PLAIN else f"\\x{byte:02x}" for byte in os.fsencode(text))
    return f"$'{''.join(escaped)}'"


def curl_file(path: Path) -> str:
    """Return a path for curl's -F, in the quotes that keep ; and , from meaning something."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'@"{escaped}"'
