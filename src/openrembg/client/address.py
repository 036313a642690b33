"""Where the server is: what a caller or the environment says, checked and tidied."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit

from openrembg.client.errors import InputError

VARIABLE: Final = "REMBG_API_URL"
DEFAULT: Final = "http://127.0.0.1:8000"
PORTS: Final = {"http": 80, "https": 443}
_CONTROLS: Final = re.compile(r"[\x00-\x20\x7f]")
# RFC 3986, section 2: what is in an address already stays; the rest is percent-encoded.
_KEPT: Final = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class Address:
    """An absolute http(s) address. target: path and query. authorization: from user:password."""

    scheme: str
    host: str
    port: int
    target: str
    authorization: str | None = field(default=None, repr=False)

    @property
    def netloc(self) -> str:
        """Host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def url(self) -> str:
        """The whole address, without user and password."""
        return self.origin + self.target

    @property
    def shown(self) -> str:
        """The address without anything that may be secret, at most 200 characters."""
        return (self.origin + self.target.partition("?")[0])[:200]

    def below(self, path: str, query: Mapping[str, str] | None = None) -> "Address":
        """Return the address of a path under this one."""
        target = self.target.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        return Address(self.scheme, self.host, self.port, target, self.authorization)


def base_address(base_url: str | None, environment: Mapping[str, str]) -> Address:
    """Return the server's address: the argument's, else the environment's, else this machine's.

    A slash at the end and an `/rmbg` or `/api/rmbg` given by mistake do not matter. Raises
    InputError.
    """
    given = base_url if base_url is not None else environment.get(VARIABLE) or DEFAULT
    address = parse_address(given, "The server's address")
    path, mark, _ = address.target.partition("?")
    if mark or "#" in given:
        raise InputError("The server's address must not have a query or a fragment.")
    if path.rstrip("/").endswith("/rmbg"):
        path = path.rstrip("/").removesuffix("/rmbg").removesuffix("/api")
    path = path.rstrip("/")
    return Address(address.scheme, address.host, address.port, path, address.authorization)


def is_web_address(text: str) -> bool:
    """Say whether a text is meant as an address, not as a file's name."""
    return text[:8].lower().startswith(("http://", "https://"))


def parse_address(text: object, what: str) -> Address:
    """Return an absolute http(s) address. Raises InputError, whose message begins with `what`."""
    if not isinstance(text, str):
        raise InputError(f"{what} must be text, not {type(text).__name__}.")
    if _CONTROLS.search(text.strip(" ")):
        raise InputError(f"{what} has a space or a control character in it.")
    try:
        parts = urlsplit(text.strip(" "))
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as error:
        raise InputError(f"{what} cannot be read.") from error
    if port == 0:
        raise InputError(f"{what} has the port 0, at which nothing can listen.")
    if parts.scheme not in PORTS or not host:
        raise InputError(f"{what} must begin with http:// or https:// and name a host.")
    path = quote(parts.path or "/", _KEPT) + (
        f"?{quote(parts.query, _KEPT)}" if parts.query else ""
    )
    port = PORTS[parts.scheme] if port is None else port
    return Address(parts.scheme, host, port, path, _authorization(parts))


def _authorization(parts: SplitResult) -> str | None:
    """Return the Authorization header for user:password@ (RFC 7617)."""
    if parts.username is None:
        return None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
