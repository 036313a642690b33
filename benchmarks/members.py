"""A user with plenty of credits on a server of ours, and what the ledger says was used."""

import http.client
import json
import time
from pathlib import Path
from typing import Final

from benchmarks.load import HOST
from benchmarks.servers import our_admin

PLENTY: Final = "1000000"


def new_member(data: Path) -> str:
    """Make a user with a million credits and requests a minute; return an API key."""
    email = f"bench-{time.time_ns()}@example.com"
    our_admin(data, "plan", email, "--credits", PLENTY, "--per-minute", PLENTY)
    our_admin(data, "create-user", email, "--verified", "--plan", email)
    return our_admin(data, "create-key", email)


def credits_used(port: int, key: str) -> int:
    """Return how many credits the key's user has used this month."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request("GET", "/api/membership-usage", headers={"X-Api-Key": key})
        usage = json.load(connection.getresponse())
        return int(usage["app_usage"]) + int(usage["api_usage"])
    finally:
        connection.close()
