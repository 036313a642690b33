"""docs/operators.md tells of every verb and option; what it and billing.md show really runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_photos import environment
from typer.main import get_command

from openrembg.cli.admin import admin
from services import Service

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operators.md").read_text("utf-8")
EXAMPLE = re.compile(r"^ *((?:.*\| )?openrembg admin .*)$", re.MULTILINE)
EXAMPLES = EXAMPLE.findall(PAGE)
EXAMPLES_OF_BILLING = EXAMPLE.findall((DOCS / "billing.md").read_text("utf-8"))
# What Stripe has told of when the page links a customer and completes a purchase.
WAITING = """
import django
django.setup()
from openrembg.server.database import prepare
prepare()
from openrembg.server.billing.models import Checkout, Customer
Customer.objects.create(customer_id="cus_QxYz12")
Checkout.objects.create(session_id="cs_live_a1B2", mode="payment", created=1, is_paid=True)
"""
GROUP: Any = get_command(admin)


def test_the_page_has_an_example_of_every_verb_and_of_no_other() -> None:
    shown = {shlex.split(line.split("openrembg admin ")[1])[0] for line in EXAMPLES}
    assert shown == set(GROUP.commands)
    assert len(EXAMPLES_OF_BILLING) > 3


@pytest.mark.parametrize("verb", sorted(GROUP.commands))
def test_the_page_tells_of_every_option(verb: str) -> None:
    options = {name for param in GROUP.commands[verb].params for name in param.opts}
    long = {name for name in options if name.startswith("--")} - {"--help"}
    assert [name for name in long if not re.search(rf"{name}\b", PAGE)] == []


def test_every_verb_explains_itself_and_its_options() -> None:
    for verb, command in GROUP.commands.items():
        assert command.help, verb
        for param in command.params:
            assert getattr(param, "help", ""), f"{verb}: {param.name}"


def test_the_examples_run_as_they_stand(tmp_path: Path, redis: Service) -> None:
    settings = environment(tmp_path) | {"REDIS_URL": f"redis://127.0.0.1:{redis.port}"}
    settings["DJANGO_SETTINGS_MODULE"] = "openrembg.server.settings"
    subprocess.run([sys.executable, "-c", WAITING], env=settings, check=True)
    program = f"{shlex.quote(sys.executable)} -m openrembg admin"
    keys: list[str] = []
    for line in EXAMPLES + EXAMPLES_OF_BILLING:
        command = line.replace("openrembg admin", program)
        if "revoke-key" in line:
            command = command.replace("orbk_Ab3dE", keys[0])
        ended = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=settings | {"PYTHONWARNINGS": "error", "PATH": os.environ["PATH"]},
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        keys += [text[:10] for text in ended.stdout.split() if text.startswith("orbk_")]
    assert (tmp_path / "bobs-key").read_text().startswith("orbk_")
