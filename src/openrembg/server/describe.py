"""Print what is generated from the code and kept in the repository.

    python -m openrembg.server.describe openapi > openapi.json
    python -m openrembg.server.describe settings > docs/settings.md

A test compares both files with this output.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final

import django

from openrembg.server.environment import About, described

_INTRODUCTION: Final = """\
# Settings of the server

All settings come from the environment. An empty value means the default. A value that makes no
sense stops the server at start-up with a sentence that says why. Where a file is named, it may
hold the value instead, for instance as a container's secret; one trailing line break is ignored.

| Setting | Kind | Default | What it does |
|---|---|---|---|
"""

_COMMAND_LINE: Final = """
The command line reads the model, provider and folder settings too. `openrembg models pull` alone
reads `OPENREMBG_MODELS_URL`, the folder on the web that holds the models' files; by default it is
the publisher's release.
"""


def openapi() -> str:
    """Return the API description of a server with default settings, as JSON."""
    from openrembg.server.api import api
    from openrembg.server.description import servers

    schema = api.get_openapi_schema()
    schema["servers"] = servers(None)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def settings() -> str:
    """Return the table of settings in Markdown."""
    from openrembg.server.settings import Settings

    return _INTRODUCTION + "".join(_row(about) for about in described(Settings)) + _COMMAND_LINE


def main(arguments: list[str]) -> int:
    """Print the one that is asked for; return the exit code."""
    if len(arguments) != 1 or arguments[0] not in _PAGES:
        sys.stderr.write(f"Usage: python -m openrembg.server.describe {'|'.join(_PAGES)}\n")
        return 2
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openrembg.server.settings")
    django.setup()
    sys.stdout.write(_PAGES[arguments[0]]())
    return 0


def _row(about: About) -> str:
    name = f"`{about.name}`"
    if about.secret:
        name += f" or `{about.name}_FILE`"
    return f"| {name} | {about.kind} | {about.default} | {about.description} |\n"


_PAGES: Final[Mapping[str, Callable[[], str]]] = {"openapi": openapi, "settings": settings}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
