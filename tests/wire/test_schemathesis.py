"""schemathesis reads the server's own description and asks whatever comes to its mind."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services import Service

pytestmark = pytest.mark.wire

CONFIG = Path(__file__).with_name("schemathesis.toml")
RUN_S = 280


def test_every_answer_is_as_the_description_says(
    start_server: Callable[..., Service], tmp_path: Path
) -> None:
    server = start_server(STRIPE_WEBHOOK_SECRET="whsec_of_nobody")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
            *("run", f"{server.url}/api/openapi"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Selected: 7/7" in done.stdout, "an operation came or went: look at this test"
    assert "Tested: 7" in done.stdout
