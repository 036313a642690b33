"""What a person does on the pages of an account."""

import base64
import hashlib
import hmac
import struct
import time
from typing import Any
from urllib.parse import urlsplit

from django.test import Client

PASSWORD = "three blind mice run"
LANGUAGES = ("en", "fa", "id", "ja", "ko")


def text_of(response: Any) -> str:
    """Return a page's HTML."""
    return str(response.content.decode())


def sign_up(
    client: Client,
    address: str = "ada@example.com",
    *,
    password: str = PASSWORD,
    language: str = "en",
    **extra: Any,
) -> Any:
    """Send the form of signing up, and go where the answer leads."""
    form = {"email": address, "password1": password}
    return client.post(f"/{language}/account/signup/", form, follow=True, **extra)


def log_in(
    client: Client,
    address: str = "ada@example.com",
    password: str = PASSWORD,
    *,
    language: str = "en",
    **extra: Any,
) -> Any:
    """Send the form of logging in, and go where the answer leads."""
    form = {"login": address, "password": password}
    return client.post(f"/{language}/account/login/", form, follow=True, **extra)


def prove_again(client: Client, password: str = PASSWORD) -> Any:
    """Give the password once more, as what changes an account's doors asks for."""
    return client.post("/en/account/reauthenticate/", {"password": password})


def is_in(client: Client) -> bool:
    """Return whether somebody is logged in."""
    return bool(client.get("/en/account/").status_code == 200)


def path_of(link: str) -> str:
    """Return a link without scheme and host."""
    return urlsplit(link).path


def totp(secret: str, now: float | None = None) -> str:
    """Return the code of an authenticator app (RFC 6238)."""
    counter = int((time.time() if now is None else now) // 30)
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", counter), hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
