"""The examples of the documentation: files that tests run, shown with the reader's server.

A file holds the address and the key that stand for the reader's own.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

FOLDER: Final = Path(__file__).parent / "examples"
HOST: Final = "localhost:8000"
SITE: Final = f"http://{HOST}"
KEY: Final = "YOUR_API_KEY"

_STRING: Final = r""""(?:[^"\\\n]|\\.)*"|'[^'\n]*'|`[^`]*`"""
_HASHES: Final = re.compile(rf"(?P<string>{_STRING})|(?P<comment>(?:^|(?<=\s))#.*)", re.MULTILINE)
_LINES: Final = re.compile(rf"(?P<string>{_STRING})|(?P<comment>(?:^|(?<=\s))//.*)", re.MULTILINE)
# By the end of a file's name: what the example is, and what is coloured in it.
_KINDS: Final[Mapping[str, tuple[str, re.Pattern[str] | None]]] = {
    ".sh": ("Shell", _HASHES),
    ".py": ("Python", _HASHES),
    ".mjs": ("Node.js", _LINES),
    ".cjs": ("Node.js", _LINES),
    ".js": ("JavaScript", _LINES),
    ".html": ("HTML", None),
    ".http": ("HTTP", None),
    ".json": ("JSON", None),
    ".txt": ("", None),
}


@cache
def sources() -> Mapping[str, str]:
    """Return every example by its file's name."""
    files = sorted(path for path in FOLDER.iterdir() if path.suffix in _KINDS)
    return {path.name: path.read_text("utf-8").strip("\n") for path in files}


def for_reader(name: str, site: str) -> str:
    """Return an example for a server at `site`, without the key."""
    host = f"Host: {urlsplit(site).netloc}"
    return sources()[name].replace(SITE, site).replace(f"Host: {HOST}", host)


def shown(name: str, site: str) -> SafeString:
    """Return an example as HTML; where the key belongs, a script may put the reader's own."""
    code = _coloured(for_reader(name, site), _KINDS[_suffix(name)][1])
    return mark_safe(code.replace(KEY, f'<span class="your-key">{KEY}</span>'))  # noqa: S308


def kind(name: str) -> str:
    """Return what an example is written in, by the end of its name."""
    return _KINDS[_suffix(name)][0]


def site_of(request: HttpRequest) -> str:
    """Return where the reader's server is: its public address, else the one that was asked."""
    public: str | None = settings.OPENREMBG.public_url
    return (public or f"{request.scheme}://{request.get_host()}").rstrip("/")


def _suffix(name: str) -> str:
    return "." + name.rpartition(".")[2]


def _coloured(code: str, marks: re.Pattern[str] | None) -> SafeString:
    if marks is None:
        return escape(code)
    parts: list[str] = []
    end = 0
    for match in marks.finditer(code):
        parts.append(escape(code[end : match.start()]))
        parts.append(format_html('<span class="{}">{}</span>', match.lastgroup, match[0]))
        end = match.end()
    parts.append(escape(code[end:]))
    return mark_safe("".join(parts))  # noqa: S308
