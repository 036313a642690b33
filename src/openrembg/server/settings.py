"""Every setting of the server: one documented list, and Django's settings made from it.

Importing this module reads the environment and touches no file but those that NAME_FILE names.
"""

import os
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from django.utils.functional import lazystr

from openrembg.folders import default_data_dir
from openrembg.matting.weights import DEFAULT_MODEL
from openrembg.server.environment import (
    FOLDER,
    NETWORKS,
    ORIGINS,
    REDIS_ADDRESS,
    TEXT,
    WEB_ADDRESS,
    WORDS,
    Network,
    one_of,
    read,
    setting,
    whole,
)
from openrembg.server.observability.logs import logging_config


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator may choose. docs/settings.md is made from this list."""

    data_dir: Path = setting(  # noqa: RUF009 (it is a field)
        "OPENREMBG_DATA_DIR",
        FOLDER,
        default_data_dir(),
        "Where uploads are spooled and pulled models and the secret key are kept.",
        shown="`openrembg` in the user's data folder",
    )
    host: str = setting(
        "OPENREMBG_HOST", TEXT, "127.0.0.1", "The address that the server listens on."
    )
    port: int = setting(
        "OPENREMBG_PORT", whole(1, 65535), 8000, "The port that the server listens on."
    )
    model: str = setting(
        "OPENREMBG_MODEL",
        TEXT,
        DEFAULT_MODEL,
        "The model that makes the mattes; `openrembg models list` names those on this machine.",
    )
    models_dir: Path | None = setting(  # noqa: RUF009
        "OPENREMBG_MODELS_DIR",
        FOLDER,
        None,
        "Where pulled models are looked for.",
        shown="`models` in the data folder",
    )
    provider: Literal["auto", "openvino", "onnxruntime", "cuda"] = setting(
        "OPENREMBG_PROVIDER",
        one_of("auto", "openvino", "onnxruntime", "cuda"),
        "auto",
        "What computes the mattes; a provider that does not run here is an error, not a fallback.",
    )
    precision: Literal["auto", "f32", "bf16"] = setting(
        "OPENREMBG_PRECISION",
        one_of("auto", "f32", "bf16"),
        "auto",
        "The numbers that the network computes with; auto takes the faster of the accurate ones.",
    )
    threads: int | None = setting(
        "OPENREMBG_THREADS",
        whole(1, 1024),
        None,
        "How many threads one matte may use.",
        shown="the cores that this process may use",
    )
    workers: int | None = setting(
        "OPENREMBG_WORKERS",
        whole(1, 1024),
        None,
        "How many pictures are computed at once.",
        shown="the cores that this process may use",
    )
    edge_colors: Literal["on", "off"] = setting(
        "OPENREMBG_EDGE_COLORS",
        one_of("on", "off"),
        "on",
        "Whether the old background is taken out of soft edges' colours; off is faster.",
    )
    queue: int = setting(
        "OPENREMBG_QUEUE",
        whole(0, 10_000),
        64,
        "How many requests may wait for a worker before the answer is 503.",
    )
    queue_timeout_s: int = setting(
        "OPENREMBG_QUEUE_TIMEOUT_S",
        whole(1, 3600),
        30,
        "How many seconds a request may wait for a worker before the answer is 503.",
    )
    pixel_budget: int = setting(
        "OPENREMBG_PIXEL_BUDGET",
        whole(1, 100_000),
        64,
        "How many megapixels may be computed at once; a larger picture runs alone.",
    )
    spool_mb: int = setting(
        "OPENREMBG_SPOOL_MB",
        whole(64, 1_000_000),
        4096,
        "How many megabytes of uploads may lie on disk at once before the answer is 503.",
    )
    anonymous_per_minute: int = setting(
        "OPENREMBG_ANONYMOUS_PER_MINUTE",
        whole(-1, 1_000_000_000),
        5,
        "Requests a minute for each anonymous client address; 0 refuses all, -1 sets no limit.",
    )
    anonymous_per_day: int = setting(
        "OPENREMBG_ANONYMOUS_PER_DAY",
        whole(-1, 1_000_000_000),
        20,
        "Cut-outs a day for each anonymous client address; 0 refuses all, -1 sets no limit.",
    )
    public_url: str | None = setting(
        "OPENREMBG_PUBLIC_URL",
        WEB_ADDRESS,
        None,
        "The address under which clients reach the server, as the API description shows it.",
        shown="the address that the description is read from",
    )
    allowed_hosts: tuple[str, ...] = setting(
        "OPENREMBG_ALLOWED_HOSTS",
        WORDS,
        ("*",),
        "The Host headers that are answered; a leading dot includes the subdomains.",
        shown="*",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "OPENREMBG_TRUSTED_PROXIES",
        NETWORKS,
        (),
        "The proxies whose X-Forwarded-For says who the client is.",
        shown="none",
    )
    cors_origins: tuple[str, ...] = setting(
        "OPENREMBG_CORS_ORIGINS",
        ORIGINS,
        ("*",),
        "The web origins whose pages may call the API from a browser.",
        shown="*",
    )
    redis_url: str | None = setting(
        "REDIS_URL",
        REDIS_ADDRESS,
        None,
        "The Redis that several servers share their request limits through.",
        shown="none: each server counts for itself",
        secret=True,
    )
    secret_key: str | None = setting(
        "SECRET_KEY",
        TEXT,
        None,
        "The key that Django signs with.",
        shown="made once and kept in the data folder",
        secret=True,
    )
    log_format: Literal["json", "text"] = setting(
        "OPENREMBG_LOG_FORMAT", one_of("json", "text"), "json", "The shape of a log line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "OPENREMBG_LOG_LEVEL",
        one_of("debug", "info", "warning", "error"),
        "info",
        "The least important log lines that are still written.",
    )

    @property
    def models_folder(self) -> Path:
        """Where pulled models lie."""
        return self.models_dir or self.data_dir / "models"

    @property
    def spool_folder(self) -> Path:
        """Where uploads lie until they are answered."""
        return self.data_dir / "spool"


def kept_secret_key(folder: Path) -> str:
    """Return the secret key of `folder`, made at the first call: readable by its owner alone."""
    path = folder / "secret_key"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f".secret_key.{secrets.token_hex(8)}"
    if not path.exists():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
        _keep_first(fresh, path)
    return path.read_text("ascii").strip()


def _keep_first(fresh: Path, path: Path) -> None:
    # A hard link is atomic and fails when another process was first: its key wins.
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


OPENREMBG: Final = read(Settings, os.environ)


@cache
def _secret_key() -> str:
    return OPENREMBG.secret_key or kept_secret_key(OPENREMBG.data_dir)


class _SecretKey:
    def __str__(self) -> str:
        return _secret_key()


SECRET_KEY = lazystr(_SecretKey())
DEBUG = False
ALLOWED_HOSTS = list(OPENREMBG.allowed_hosts)
INSTALLED_APPS = ["django.contrib.staticfiles", "ninja", "openrembg.server"]
MIDDLEWARE = [
    "openrembg.server.observability.requests.observe",
    "openrembg.server.security.safe_headers",
    "openrembg.server.quota.headers.rate_limit_headers",
    "openrembg.server.cors.cors",
    "openrembg.server.answers.one_shape",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "openrembg.server.answers.head_as_get",
]
ROOT_URLCONF = "openrembg.server.urls"
WSGI_APPLICATION = "openrembg.server.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
]
DATABASES: dict[str, Any] = {}
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
LOGGING = logging_config(OPENREMBG.log_format, OPENREMBG.log_level)
