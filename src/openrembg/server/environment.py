"""How a setting is read from the environment: by name, or from the file that NAME_FILE names."""

import dataclasses
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formataddr, parseaddr
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

T = TypeVar("T")
# A name, an IPv4 or an IPv6 address; with international letters, but nothing that ends a host.
_HOST = re.compile(r"[\w.:-]+")
MIN_KEY_CHARS = 16
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting that cannot be used. The message is one sentence for the operator."""


class DatabaseUnusable(Exception):
    """The database that the settings name does not answer. One sentence for the operator."""


@dataclass(frozen=True, slots=True)
class About:
    """What the documentation says about one setting, and how its text becomes a value.

    kind: the type in words, for instance `whole number, at least 1`.
    default: the default in words.
    parse: text to value; raises ValueError when the text is nonsense.
    secret: the value may come from NAME_FILE and is never printed.
    """

    name: str
    kind: str
    default: str
    description: str
    parse: Callable[[str], object]
    secret: bool


def gettext_noop(text: str) -> str:
    """Mark a text for translation and return it as it is.

    Django's own asks the settings first, and these are being made.
    """
    return text


def setting(
    name: str,
    kind: tuple[str, Callable[[str], object]],
    default: object,
    description: str,
    *,
    shown: str | None = None,
    secret: bool = False,
) -> Any:  # (a dataclass field stands for a value of any type)
    """Return a dataclass field for the setting `name`.

    kind: the type in words and its parser. shown: the default in words, where `default` itself
    would say too little.
    """
    words, parse = kind
    about = About(name, words, shown or str(default), description, parse, secret)
    return dataclasses.field(default=default, metadata={"about": about})


def described(settings: type) -> tuple[About, ...]:
    """Return what is known about each setting of a settings class, in the class's order."""
    return tuple(cast(About, field.metadata["about"]) for field in dataclasses.fields(settings))


def read(settings: Callable[..., T], environ: Mapping[str, str]) -> T:
    """Return the settings that `environ` describes; empty and missing values mean the default.

    Raises SettingsError with one sentence for the first value that is nonsense.
    """
    values: dict[str, object] = {}
    for field in dataclasses.fields(cast(Any, settings)):
        about = cast(About, field.metadata["about"])
        text = _text(about, environ)
        if text:
            values[field.name] = _value(about, text)
    return settings(**values)


def _text(about: About, environ: Mapping[str, str]) -> str:
    text = environ.get(about.name, "").strip()
    file = environ.get(f"{about.name}_FILE", "").strip() if about.secret else ""
    if not file:
        return text
    if text:
        raise SettingsError(f"Set {about.name} or {about.name}_FILE, not both.")
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{about.name}_FILE names a file that cannot be read.") from error


def _value(about: About, text: str) -> object:
    try:
        return about.parse(text)
    except ValueError as error:
        got = "" if about.secret else f", not '{text[:64]}'"
        raise SettingsError(f"{about.name} must be a {about.kind}{got}.") from error


def whole(least: int, most: int) -> tuple[str, Callable[[str], object]]:
    """Return the kind of a whole number within `least` and `most`."""

    def parse(text: str) -> int:
        if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit():
            raise ValueError(text)
        number = int(text)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return f"whole number from {least} to {most}", parse


def one_of(*words: str) -> tuple[str, Callable[[str], object]]:
    """Return the kind of a closed set of words, in any case."""

    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    return f"word out of {', '.join(words)}", parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(word, strict=False) for word in _words(text))


def _redis_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss", "unix") or not text.startswith(f"{parts.scheme}://"):
        raise ValueError(text)
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError(text)
    _ = parts.port  # raises ValueError for a port that is none
    if parts.scheme != "unix" and not re.fullmatch(r"/?[0-9]{0,5}", parts.path):
        raise ValueError(text)
    return text


def _database(text: str) -> dict[str, object]:
    parts = urlsplit(text)
    if parts.scheme == "sqlite" and text.startswith("sqlite:///") and len(parts.path) > 1:
        # As everywhere: four slashes for an absolute path, three for a relative one.
        return sqlite(Path(unquote(parts.path[1:])).absolute())
    if parts.scheme not in ("postgres", "postgresql") or not parts.path.strip("/"):
        raise ValueError(text)
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    # A socket's folder is no host name; libpq's addresses name it as ?host=/run/postgresql.
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.strip("/")),
        "HOST": host,
        "PORT": str(parts.port or ""),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "OPTIONS": options,
    }


def sqlite(file: Path) -> dict[str, object]:
    """Return Django's settings for a SQLite file that several processes write to.

    A transaction takes the write lock when it begins, so that it never has to be refused later.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(file),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            # Each thread has a cache of its own, by default of 2 MB; the kernel has one for all.
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-256;"
            ),
        },
    }


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mails are handed over. security: none, `starttls`, or `tls` from the first byte."""

    host: str
    port: int
    user: str
    password: str
    security: str


_MAIL_SCHEMES = {"smtp": ("", 25), "smtp+tls": ("starttls", 587), "smtps": ("tls", 465)}


def _mail_server(text: str) -> MailServer:
    parts: SplitResult = urlsplit(text)
    if parts.scheme not in _MAIL_SCHEMES or not parts.hostname or parts.path.strip("/"):
        raise ValueError(text)
    security, port = _MAIL_SCHEMES[parts.scheme]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailServer(parts.hostname, parts.port or port, user, password, security)


def _address(text: str) -> str:
    name, address = parseaddr(text)
    if "@" not in address or any(char in text for char in "\r\n"):
        raise ValueError(text)
    return formataddr((name, address)) if name else address


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(text)
    _ = parts.port  # raises ValueError for a port that is none
    if "@" in parts.netloc or not _HOST.fullmatch(parts.hostname) or " " in parts.path:
        raise ValueError(text)
    return text.rstrip("/")


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _words(text)
    for host in hosts:
        if host != "*" and not _HOST.fullmatch(host.removeprefix(".").strip("[]")):
            raise ValueError(host)
    return hosts


def _key(text: str) -> str:
    if len(text) < MIN_KEY_CHARS:
        raise ValueError(text)
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = _words(text)
    for origin in origins:
        if origin != "*":
            _origin(origin)
    return origins


def _origin(text: str) -> str:
    if urlsplit(_web_address(text)).path:
        raise ValueError(text)
    return _web_address(text)


def _host_and_port(text: str) -> str:
    parts = urlsplit(f"//{text}")
    if parts.netloc != text or "@" in text or not parts.hostname or not parts.port:
        raise ValueError(text)
    if not _HOST.fullmatch(parts.hostname):
        raise ValueError(text)
    return text


def text_but(*beginnings: str, in_ascii: bool = False) -> tuple[str, Callable[[str], object]]:
    """Return the kind of a text that does not begin as other keys do.

    Whoever mixes keys up is told of it when the server starts, not when somebody wants to pay.
    in_ascii: printable, for it is sent in a header.
    """

    def parse(text: str) -> str:
        if in_ascii and not (text.isascii() and text.isprintable()):
            raise ValueError(text)
        if text.startswith(beginnings):
            raise ValueError(text)
        return text

    words = "text of printable ASCII characters" if in_ascii else "text"
    return f"{words} that does not begin with {' or '.join(beginnings)}", parse


TEXT = ("text", str)
FOLDER = ("folder", lambda text: Path(text).expanduser().absolute())
HOSTS = ("comma-separated list of host names such as example.com, or *", _hosts)
KEY = (f"secret text of at least {MIN_KEY_CHARS} characters", _key)
NETWORKS = ("comma-separated list of networks such as 10.0.0.0/8", _networks)
WEB_ADDRESS = ("web address that starts with http:// or https://", _web_address)
ORIGIN = ("web address without a path such as https://example.com", _origin)
ORIGINS = ("comma-separated list of origins such as https://example.com, or *", _origins)
HOST_AND_PORT = ("host and port such as 10.0.0.1:6379", _host_and_port)
REDIS_ADDRESS = (
    "Redis address that starts with redis://, rediss:// or unix://",
    _redis_address,
)
DATABASE = (
    "database address such as postgresql://user:password@host/name or sqlite:////data/openrembg.db",
    _database,
)
MAIL_SERVER = (
    "mail server's address such as smtp+tls://user:password@host:587, smtps:// or smtp://",
    _mail_server,
)
MAIL_ADDRESS = ("mail address such as openrembg <no-reply@example.com>", _address)
