"""How a setting is read from the environment: by name, or from the file that NAME_FILE names."""

import dataclasses
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

T = TypeVar("T")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting that cannot be used. The message is one sentence for the operator."""


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
    return text


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(text)
    return text.rstrip("/")


def _origins(text: str) -> tuple[str, ...]:
    origins = _words(text)
    for origin in origins:
        if origin != "*" and urlsplit(_web_address(origin)).path:
            raise ValueError(origin)
    return origins


TEXT = ("text", str)
FOLDER = ("folder", lambda text: Path(text).expanduser().absolute())
WORDS = ("comma-separated list", _words)
NETWORKS = ("comma-separated list of networks such as 10.0.0.0/8", _networks)
WEB_ADDRESS = ("web address that starts with http:// or https://", _web_address)
ORIGINS = ("comma-separated list of origins such as https://example.com, or *", _origins)
REDIS_ADDRESS = (
    "Redis address that starts with redis://, rediss:// or unix://",
    _redis_address,
)
