"""Every setting of the server for the documentation, in groups: from the list of settings."""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from openrembg.server.environment import (
    DATABASE,
    FOLDER,
    HOST_AND_PORT,
    HOSTS,
    KEY,
    MAIL_ADDRESS,
    MAIL_SERVER,
    MIN_KEY_CHARS,
    NETWORKS,
    ORIGIN,
    ORIGINS,
    REDIS_ADDRESS,
    TEXT,
    WEB_ADDRESS,
    About,
    described,
)
from openrembg.server.manual.prose import codes, in_html
from openrembg.server.settings import Settings


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting. file: the name under which a file may hold it, if one may."""

    name: str
    file: str
    kind: SafeString
    default: SafeString
    about: SafeString


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that belong together. anchor: the group's place on the page."""

    anchor: str
    title: str
    settings: tuple[Setting, ...]


# Each setting is in one group; a test sees to it.
_GROUPS: Final = (
    (
        "settings-address",
        gettext_noop("Address and data"),
        (
            *("OPENREMBG_DATA_DIR", "OPENREMBG_HOST", "OPENREMBG_PORT", "OPENREMBG_PUBLIC_URL"),
            *("OPENREMBG_ALLOWED_HOSTS", "OPENREMBG_TRUSTED_PROXIES", "OPENREMBG_CORS_ORIGINS"),
            "SECRET_KEY",
        ),
    ),
    (
        "settings-model",
        gettext_noop("Model and computing"),
        (
            *("OPENREMBG_MODEL", "OPENREMBG_MODELS_DIR", "OPENREMBG_PROVIDER"),
            *("OPENREMBG_PRECISION", "OPENREMBG_THREADS", "OPENREMBG_WORKERS"),
            "OPENREMBG_EDGE_COLORS",
        ),
    ),
    (
        "settings-load",
        gettext_noop("Load"),
        (
            *("OPENREMBG_PROCESSES", "OPENREMBG_QUEUE", "OPENREMBG_QUEUE_TIMEOUT_S"),
            "OPENREMBG_PIXEL_BUDGET",
            *("OPENREMBG_SPOOL_MB", "OPENREMBG_REQUEST_TIMEOUT_S", "OPENREMBG_KEPT_ANSWERS_MB"),
        ),
    ),
    (
        "settings-ray",
        gettext_noop("Ray cluster"),
        (
            *("OPENREMBG_INFERENCE", "OPENREMBG_RAY_ADDRESS", "OPENREMBG_RAY_DEPLOY"),
            *("OPENREMBG_RAY_MIN_REPLICAS", "OPENREMBG_RAY_MAX_REPLICAS"),
            *("OPENREMBG_RAY_REPLICA_CPUS", "OPENREMBG_RAY_REPLICA_GPUS"),
            *("OPENREMBG_RAY_REPLICA_CALLS", "OPENREMBG_RAY_QUEUE", "OPENREMBG_RAY_TIMEOUT_S"),
        ),
    ),
    (
        "settings-callers",
        gettext_noop("Callers and accounts"),
        (
            *("OPENREMBG_ANONYMOUS_PER_MINUTE", "OPENREMBG_ANONYMOUS_PER_DAY"),
            *("OPENREMBG_LIMITS", "OPENREMBG_SIGN_UP", "OPENREMBG_TOKEN_LIFETIME_S"),
        ),
    ),
    (
        "settings-database",
        gettext_noop("Database and Redis"),
        ("DATABASE_URL", "OPENREMBG_DATABASE_CONNECTIONS", "REDIS_URL"),
    ),
    ("settings-mail", gettext_noop("Mail"), ("EMAIL_URL", "OPENREMBG_MAIL_FROM")),
    (
        "settings-stripe",
        gettext_noop("Payments with Stripe"),
        ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_API_BASE", "STRIPE_PAGES"),
    ),
    (
        "settings-log",
        gettext_noop("Log"),
        ("OPENREMBG_LOG_FORMAT", "OPENREMBG_LOG_LEVEL", "OPENREMBG_TRACES"),
    ),
)

# The kinds of settings as `environment` calls them, and as readers of five languages do.
_KINDS: Final[Mapping[str, str]] = {
    TEXT[0]: gettext_noop("text"),
    FOLDER[0]: gettext_noop("folder"),
    HOST_AND_PORT[0]: gettext_noop("host and port such as `10.0.0.1:6379`"),
    HOSTS[0]: gettext_noop("host names such as `example.com`, with commas between, or `*`"),
    KEY[0]: gettext_noop("secret text of at least %(chars)s characters"),
    NETWORKS[0]: gettext_noop("networks such as `10.0.0.0/8`, with commas between"),
    WEB_ADDRESS[0]: gettext_noop("web address that begins with `http://` or `https://`"),
    ORIGIN[0]: gettext_noop("web address without a path, such as `https://example.com`"),
    ORIGINS[0]: gettext_noop("origins such as `https://example.com`, with commas between, or `*`"),
    REDIS_ADDRESS[0]: gettext_noop(
        "Redis address that begins with `redis://`, `rediss://` or `unix://`"
    ),
    DATABASE[0]: gettext_noop(
        "database address such as `postgresql://user:password@host/name` or "
        "`sqlite:////data/openrembg.db`"
    ),
    MAIL_SERVER[0]: gettext_noop(
        "mail server such as `smtp+tls://user:password@host:587`, or with `smtps://` or `smtp://`"
    ),
    MAIL_ADDRESS[0]: gettext_noop("mail address such as `openrembg <no-reply@example.com>`"),
}
_WHOLE: Final = re.compile(r"whole number from (\S+) to (\S+)")
_ONE_OF: Final = re.compile(r"word out of (.+)")
_TEXT_BUT: Final = re.compile(
    r"text( of printable ASCII characters)? that does not begin with (.+)"
)


def groups() -> tuple[Group, ...]:
    """Return every setting in its group, in the language of the moment."""
    by_name = {one.name: one for one in settings()}
    return tuple(
        Group(anchor, gettext(title), tuple(by_name[name] for name in names))
        for anchor, title, names in _GROUPS
    )


def settings() -> Iterator[Setting]:
    """Yield every setting in the order of the list of settings."""
    fields = dataclasses.fields(Settings)
    for about, field in zip(described(Settings), fields, strict=True):
        yield Setting(
            about.name,
            f"{about.name}_FILE" if about.secret else "",
            in_html(kind_in_words(about.kind)),
            in_html(_default(about, field.default)),
            in_html(gettext(about.description)),
        )


def kind_in_words(kind: str) -> str:
    """Return a kind of `environment` in the language of the moment.

    Raises KeyError for one that this page does not know yet.
    """
    whole, one_of, text_but = (pattern.fullmatch(kind) for pattern in (_WHOLE, _ONE_OF, _TEXT_BUT))
    if whole:
        ends = {"least": f"`{whole[1]}`", "most": f"`{whole[2]}`"}
        return gettext("whole number from %(least)s to %(most)s") % ends
    if one_of:
        return gettext("one of these words: %(words)s") % {"words": codes(*one_of[1].split(", "))}
    if text_but:
        beginnings = {"words": codes(*text_but[2].split(" or "))}
        if text_but[1]:
            words = gettext("printable ASCII text that does not begin with %(words)s")
            return words % beginnings
        return gettext("text that does not begin with %(words)s") % beginnings
    return gettext(_KINDS[kind]) % {"chars": MIN_KEY_CHARS}


def _default(about: About, value: object) -> str:
    """Return a default: what one would write as code, a sentence in the reader's language."""
    written = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"`{about.default}`" if about.default == written else gettext(about.default)
