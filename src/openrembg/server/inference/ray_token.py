"""The secret that lets a process join a Ray cluster, put where Ray looks for it.

Ray reads these variables when it is imported. Whoever can reach the ports of a cluster without a
token runs what he likes there.
"""

import contextlib
import os
import secrets
from pathlib import Path


def choose_token(address: str) -> None:
    """Set Ray's variables: for a Ray of our own a token that nobody else knows, and the loopback.

    For a cluster the operator's choice (RAY_AUTH_MODE), or else the token that this host has:
    only `ray start` takes that by itself.
    """
    if not address:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        # No cluster of several hosts: else it listens on every interface, whatever address it gets.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        return
    named = "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ
    # The user may have no name, and the home may be unreadable.
    with contextlib.suppress(OSError, RuntimeError):
        if named or (Path.home() / ".ray" / "auth_token").is_file():
            os.environ.setdefault("RAY_AUTH_MODE", "token")
