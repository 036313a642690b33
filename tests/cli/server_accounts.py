"""Accounts on the tests' server, and a photo that some server answers."""

import itertools
from pathlib import Path
from typing import Final

from services import Service, openrembg_admin

_numbers: Final = itertools.count()


def key_with(server: Service, *, credits_: int = 1000, per_minute: int = 1000) -> str:
    """Return the key of a new account whose plan has so many credits and requests a minute."""
    data = {"OPENREMBG_DATA_DIR": str(Path(server.log).parent / "data")}
    number = next(_numbers)
    plan, email = f"Command line {number}", f"cli-{number}@example.com"
    limits = ("--credits", str(credits_), "--per-minute", str(per_minute))
    openrembg_admin(data, "plan", plan, *limits)
    openrembg_admin(data, "create-user", email, "--verified", "--plan", plan)
    return openrembg_admin(data, "create-key", email).split()[-1]
