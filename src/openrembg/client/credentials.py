"""What every request to the API carries besides its body: key, extra headers, idempotency key."""

import re
import uuid
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

from openrembg.client.errors import InputError

VARIABLE: Final = "REMBG_API_KEY"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_KEY: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
# RFC 9110, sections 5.1 and 5.5.
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE: Final = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?", re.ASCII)
_OURS: Final = {
    "x-api-key": "api_key",
    "idempotency-key": "idempotency_key",
    "host": "base_url",
    **dict.fromkeys(
        ("content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"), ""
    ),
}


def key_of(api_key: str | None, environment: Mapping[str, str]) -> str | None:
    """Return the API key: the argument's, else the environment's, else None (anonymous).

    White space around it does not matter: keys are read from files. Raises InputError, which never
    repeats the key.
    """
    given: object = api_key if api_key is not None else environment.get(VARIABLE) or None
    if given is None:
        return None
    key = given.strip(" \t\r\n") if isinstance(given, str) else ""
    if not _KEY.fullmatch(key):
        raise InputError("The API key is empty or has characters that no key has, such as a space.")
    return key


def checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return extra headers that a request may carry. Raises InputError."""
    if headers is None:
        return {}
    sent: list[tuple[object, object]] = list(headers.items())
    for name, value in sent:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError("A header's name has characters that no header has.")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InputError(f"The header {name} has a value that cannot be sent.")
        if name.lower() in _OURS:
            instead = _OURS[name.lower()]
            hint = f"use {instead} instead." if instead else "the client sets it."
            raise InputError(f"The header {name} cannot be given: {hint}")
    return dict(headers)


class Credentials:
    """Who asks. Headers are made anew for each call; nothing prints the key."""

    def __init__(
        self, api_key: str | None, authorization: str | None, headers: Mapping[str, str]
    ) -> None:
        self._always = {"User-Agent": f"openrembg-python/{version('openrembg')}"}
        if authorization is not None:
            self._always["Authorization"] = authorization
        if api_key is not None:
            self._always["x-api-key"] = api_key
        extra = {name.lower() for name in headers}
        kept = {name: value for name, value in self._always.items() if name.lower() not in extra}
        self._always = {**kept, **headers}
        self._known = api_key is not None or "authorization" in extra

    def headers(self) -> dict[str, str]:
        """Return the headers of a call that may be repeated as it is."""
        return dict(self._always)

    def headers_once(self, idempotency_key: str | None) -> dict[str, str]:
        """Return the headers of a call that must count once, however often it is sent.

        Without a key of the caller's there is a fresh one a call, for callers who pay.
        Raises InputError.
        """
        if idempotency_key is None and not self._known:
            return self.headers()
        key: object = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        if not isinstance(key, str) or not key or not _VALUE.fullmatch(key):
            raise InputError("The idempotency key is empty or has characters that cannot be sent.")
        return {**self._always, IDEMPOTENCY_KEY: key}
