import json
import os
import subprocess
import sys
from typing import Any

import pytest

NAMES = ("SESSION_COOKIE", "CSRF_COOKIE", "LANGUAGE_COOKIE")


def settings_with(**environment: str) -> dict[str, Any]:
    """Return the settings as another process sees them."""
    code = (
        "import json; from openrembg.server import settings as s;"
        "print(json.dumps({name: getattr(s, name) for name in dir(s)"
        " if name.isupper() and isinstance(getattr(s, name), str | bool | list | int | dict)},"
        " default=str))"
    )
    clean = {name: value for name, value in os.environ.items() if "URL" not in name}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env={**clean, **environment}, check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("url", "is_secure"),
    [("", False), ("http://cut.example", False), ("https://cut.example/base", True)],
)
def test_cookies_travel_over_tls_alone_where_the_public_address_has_it(
    url: str, is_secure: bool
) -> None:
    chosen = settings_with(OPENREMBG_PUBLIC_URL=url)
    for name in NAMES:
        assert chosen[f"{name}_SECURE"] is is_secure
        assert chosen[f"{name}_HTTPONLY"] is True
        assert chosen[f"{name}_SAMESITE"] == "Lax"
        assert chosen[f"{name}_NAME"].startswith("openrembg_")


def test_forms_are_taken_from_the_public_address() -> None:
    chosen = settings_with(OPENREMBG_PUBLIC_URL="https://cut.example:8443/base")
    assert chosen["CSRF_TRUSTED_ORIGINS"] == ["https://cut.example:8443"]
    assert settings_with()["CSRF_TRUSTED_ORIGINS"] == []


@pytest.mark.parametrize(
    ("url", "tls", "ssl"),
    [
        ("smtp://h", False, False),
        ("smtp+tls://u:p@h", True, False),
        ("smtps://u:p@h", False, True),
    ],
)
def test_the_mail_server_is_spoken_to_as_its_address_says(url: str, tls: bool, ssl: bool) -> None:
    chosen = settings_with(EMAIL_URL=url)
    assert chosen["EMAIL_BACKEND"].endswith("smtp.EmailBackend")
    assert (chosen["EMAIL_USE_TLS"], chosen["EMAIL_USE_SSL"]) == (tls, ssl)
    assert chosen["EMAIL_TIMEOUT"] == 10


def test_without_a_mail_server_mails_go_to_the_outbox() -> None:
    assert settings_with()["EMAIL_BACKEND"] == "openrembg.server.accounts.outbox.Outbox"
