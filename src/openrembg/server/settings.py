"""Every setting of the server: one documented list, and Django's settings made from it.

Importing this module reads the environment and touches no file but those that NAME_FILE names.
"""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from django.utils.functional import lazystr

from openrembg.folders import default_data_dir
from openrembg.matting.weights import DEFAULT_MODEL
from openrembg.server.environment import (
    DATABASE,
    FOLDER,
    HOST_AND_PORT,
    HOSTS,
    KEY,
    MAIL_ADDRESS,
    MAIL_SERVER,
    NETWORKS,
    ORIGIN,
    ORIGINS,
    REDIS_ADDRESS,
    TEXT,
    WEB_ADDRESS,
    MailServer,
    Network,
    SettingsError,
    gettext_noop,
    one_of,
    read,
    setting,
    sqlite,
    text_but,
    whole,
)
from openrembg.server.inference.replicas import Replicas
from openrembg.server.observability.logs import logging_config
from openrembg.server.processes.membership import place
from openrembg.server.processes.share import share_of

# While a cluster makes the mattes: a picture then uses this machine's cores for a part of its time.
PICTURES_PER_CORE: Final = 4
# The table of the cache, where the database counts attempts; a migration of `accounts` makes it.
CACHE_TABLE: Final = "accounts_cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator may choose. docs/settings.md is made from this list."""

    data_dir: Path = setting(  # noqa: RUF009 (it is a field)
        "OPENREMBG_DATA_DIR",
        FOLDER,
        default_data_dir(),
        gettext_noop(
            "Where the database, the spool, the outbox, pulled models and the secret key are kept."
        ),
        shown=gettext_noop("`openrembg` in the user's data folder"),
    )
    host: str = setting(
        "OPENREMBG_HOST", TEXT, "127.0.0.1", gettext_noop("The address that the server listens on.")
    )
    port: int = setting(
        "OPENREMBG_PORT",
        whole(1, 65535),
        8000,
        gettext_noop("The port that the server listens on."),
    )
    processes: int = setting(
        "OPENREMBG_PROCESSES",
        whole(1, 64),
        1,
        gettext_noop(
            "How many processes answer as one server; workers, threads, queue, pixels, spool and "
            "connections are divided among them, and limits and credits are common."
        ),
    )
    model: str = setting(
        "OPENREMBG_MODEL",
        TEXT,
        DEFAULT_MODEL,
        gettext_noop(
            "The model that makes the mattes; `openrembg models list` names those on this machine."
        ),
    )
    models_dir: Path | None = setting(  # noqa: RUF009
        "OPENREMBG_MODELS_DIR",
        FOLDER,
        None,
        gettext_noop("Where pulled models are looked for."),
        shown=gettext_noop("`models` in the data folder"),
    )
    provider: Literal["auto", "openvino", "onnxruntime", "cuda"] = setting(
        "OPENREMBG_PROVIDER",
        one_of("auto", "openvino", "onnxruntime", "cuda"),
        "auto",
        gettext_noop(
            "What computes the mattes; a provider that does not run here is an error, "
            "not a fallback."
        ),
    )
    precision: Literal["auto", "f32", "bf16"] = setting(
        "OPENREMBG_PRECISION",
        one_of("auto", "f32", "bf16"),
        "auto",
        gettext_noop(
            "The numbers that the network computes with; auto takes the faster of the accurate "
            "ones."
        ),
    )
    threads: int | None = setting(
        "OPENREMBG_THREADS",
        whole(1, 1024),
        None,
        gettext_noop("How many threads one matte may use."),
        shown=gettext_noop("the cores that this process may use"),
    )
    workers: int | None = setting(
        "OPENREMBG_WORKERS",
        whole(1, 1024),
        None,
        gettext_noop("How many pictures are computed at once."),
        shown=gettext_noop(
            "the cores that this process may use, or four times as many when Ray makes the mattes"
        ),
    )
    inference: Literal["local", "ray"] = setting(
        "OPENREMBG_INFERENCE",
        one_of("local", "ray"),
        "local",
        gettext_noop(
            "Where the mattes are made: in this server, or by replicas on a Ray cluster, which "
            "the extra `ray` brings."
        ),
    )
    ray_address: str | None = setting(
        "OPENREMBG_RAY_ADDRESS",
        HOST_AND_PORT,
        None,
        gettext_noop("The Ray cluster that makes the mattes."),
        shown=gettext_noop("a Ray on this machine that ends with the server"),
    )
    ray_deploy: Literal["on", "off"] = setting(
        "OPENREMBG_RAY_DEPLOY",
        one_of("on", "off"),
        "on",
        gettext_noop(
            "Whether this server starts the replicas when none are deployed on the cluster."
        ),
    )
    ray_min_replicas: int = setting(
        "OPENREMBG_RAY_MIN_REPLICAS",
        whole(1, 10_000),
        1,
        gettext_noop("How many replicas there are at least."),
    )
    ray_max_replicas: int = setting(
        "OPENREMBG_RAY_MAX_REPLICAS",
        whole(1, 10_000),
        4,
        gettext_noop("How many replicas there are at most."),
    )
    ray_replica_cpus: int = setting(
        "OPENREMBG_RAY_REPLICA_CPUS",
        whole(1, 1024),
        1,
        gettext_noop("How many CPUs each replica has, and threads one matte."),
    )
    ray_replica_gpus: int = setting(
        "OPENREMBG_RAY_REPLICA_GPUS",
        whole(0, 64),
        0,
        gettext_noop("How many GPUs each replica has."),
    )
    ray_replica_calls: int = setting(
        "OPENREMBG_RAY_REPLICA_CALLS",
        whole(1, 1000),
        2,
        gettext_noop(
            "How many pictures a replica takes at once; another replica starts before all have as "
            "many."
        ),
    )
    ray_queue: int = setting(
        "OPENREMBG_RAY_QUEUE",
        whole(1, 10_000),
        64,
        gettext_noop(
            "How many pictures of each process may wait for a replica before the answer is 503."
        ),
    )
    ray_timeout_s: int = setting(
        "OPENREMBG_RAY_TIMEOUT_S",
        whole(1, 3600),
        30,
        gettext_noop(
            "How many seconds a matte may take, a second replica's attempt included, before the "
            "answer is 503."
        ),
    )
    edge_colors: Literal["on", "off"] = setting(
        "OPENREMBG_EDGE_COLORS",
        one_of("on", "off"),
        "on",
        gettext_noop(
            "Whether the old background is taken out of soft edges' colours; off is faster."
        ),
    )
    queue: int = setting(
        "OPENREMBG_QUEUE",
        whole(0, 10_000),
        64,
        gettext_noop("How many requests may wait for a worker before the answer is 503."),
    )
    queue_timeout_s: int = setting(
        "OPENREMBG_QUEUE_TIMEOUT_S",
        whole(1, 3600),
        30,
        gettext_noop("How many seconds a request may wait for a worker before the answer is 503."),
    )
    pixel_budget: int = setting(
        "OPENREMBG_PIXEL_BUDGET",
        whole(1, 100_000),
        64,
        gettext_noop("How many megapixels may be computed at once; a larger picture runs alone."),
    )
    spool_mb: int = setting(
        "OPENREMBG_SPOOL_MB",
        whole(64, 1_000_000),
        4096,
        gettext_noop(
            "How many megabytes of uploads may lie on disk at once before the answer is 503."
        ),
    )
    anonymous_per_minute: int = setting(
        "OPENREMBG_ANONYMOUS_PER_MINUTE",
        whole(-1, 1_000_000_000),
        5,
        gettext_noop(
            "Requests a minute for each anonymous client address; 0 refuses all, -1 sets no limit."
        ),
    )
    anonymous_per_day: int = setting(
        "OPENREMBG_ANONYMOUS_PER_DAY",
        whole(-1, 1_000_000_000),
        20,
        gettext_noop(
            "Cut-outs a day for each anonymous client address; 0 refuses all, -1 sets no limit."
        ),
    )
    public_url: str | None = setting(
        "OPENREMBG_PUBLIC_URL",
        WEB_ADDRESS,
        None,
        gettext_noop(
            "The address under which others reach the server. Links in mails, addresses in pages "
            "and examples and the API description begin with it, forms and the console accept it, "
            "and with https:// cookies travel over TLS alone."
        ),
        shown=gettext_noop("the address that was asked; in mails, only one that is known"),
    )
    allowed_hosts: tuple[str, ...] = setting(
        "OPENREMBG_ALLOWED_HOSTS",
        HOSTS,
        ("*",),
        gettext_noop("The Host headers that are answered; a leading dot includes the subdomains."),
        shown="*",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        "OPENREMBG_TRUSTED_PROXIES",
        NETWORKS,
        (),
        gettext_noop("The proxies whose X-Forwarded-For says who the client is."),
        shown=gettext_noop("none"),
    )
    cors_origins: tuple[str, ...] = setting(
        "OPENREMBG_CORS_ORIGINS",
        ORIGINS,
        ("*",),
        gettext_noop("The web origins whose pages may call the API from a browser."),
        shown="*",
    )
    request_timeout_s: int = setting(
        "OPENREMBG_REQUEST_TIMEOUT_S",
        whole(1, 3600),
        120,
        gettext_noop(
            "After how many seconds the credit of a request whose server died is given back."
        ),
    )
    kept_answers_mb: int = setting(
        "OPENREMBG_KEPT_ANSWERS_MB",
        whole(0, 1_000_000),
        256,
        gettext_noop(
            "How many megabytes of answers to requests with an Idempotency-Key are kept for each "
            "user; what has no room is computed again for a retry."
        ),
    )
    sign_up: Literal["open", "closed"] = setting(
        "OPENREMBG_SIGN_UP",
        one_of("open", "closed"),
        "open",
        gettext_noop(
            "Whether strangers may open an account; when closed, the operator creates users."
        ),
    )
    token_lifetime_s: int = setting(
        "OPENREMBG_TOKEN_LIFETIME_S",
        whole(60, 30 * 24 * 3600),
        3600,
        gettext_noop("For how many seconds a user token is valid."),
    )
    database_url: dict[str, object] | None = setting(  # noqa: RUF009
        "DATABASE_URL",
        DATABASE,
        None,
        gettext_noop("The database of accounts and credits."),
        shown=gettext_noop("`openrembg.db` (SQLite) in the data folder"),
        secret=True,
    )
    database_connections: int | None = setting(
        "OPENREMBG_DATABASE_CONNECTIONS",
        whole(1, 1000),
        None,
        gettext_noop("How many connections each server opens to PostgreSQL at most."),
        shown=gettext_noop("16, or 8 more than the workers"),
    )
    redis_url: str | None = setting(
        "REDIS_URL",
        REDIS_ADDRESS,
        None,
        gettext_noop(
            "The Redis that servers share request limits through and keep readable usage "
            "counters in."
        ),
        shown=gettext_noop("none"),
        secret=True,
    )
    limits: Literal["auto", "memory", "redis", "database"] = setting(
        "OPENREMBG_LIMITS",
        one_of("auto", "memory", "redis", "database"),
        "auto",
        gettext_noop(
            "Where request limits are counted; auto takes Redis when there is one, else the "
            "database when it is PostgreSQL or there are several processes, else the server's "
            "memory."
        ),
    )
    email_url: MailServer | None = setting(  # noqa: RUF009
        "EMAIL_URL",
        MAIL_SERVER,
        None,
        gettext_noop("The mail server that mails are handed to."),
        shown=gettext_noop("none: mails go to the log and to `outbox` in the data folder"),
        secret=True,
    )
    mail_from: str = setting(
        "OPENREMBG_MAIL_FROM",
        MAIL_ADDRESS,
        "openrembg <no-reply@localhost>",
        gettext_noop("Who mails come from."),
    )
    stripe_secret_key: str | None = setting(
        "STRIPE_SECRET_KEY",
        text_but("pk_", "whsec_", in_ascii=True),
        None,
        gettext_noop(
            "The key of the Stripe account that plans and credits are sold through; nothing is "
            "sold without STRIPE_WEBHOOK_SECRET."
        ),
        shown=gettext_noop("none: nothing is sold, and the operator gives plans and credits"),
        secret=True,
    )
    stripe_webhook_secret: str | None = setting(
        "STRIPE_WEBHOOK_SECRET",
        text_but("pk_", "rk_", "sk_"),
        None,
        gettext_noop("The secret that Stripe signs events with for `/api/webhooks/stripe`."),
        shown=gettext_noop("none: the address answers 404"),
        secret=True,
    )
    stripe_api_base: str = setting(
        "STRIPE_API_BASE",
        ORIGIN,
        "https://api.stripe.com",
        gettext_noop("Where Stripe's API is; another one is for tests."),
    )
    stripe_pages: tuple[str, ...] = setting(
        "STRIPE_PAGES",
        ORIGINS,
        ("https://checkout.stripe.com", "https://billing.stripe.com"),
        gettext_noop(
            "The origins of Stripe's pages to which ours lead; name your own domain if you "
            "have one."
        ),
        shown="https://checkout.stripe.com, https://billing.stripe.com",
    )
    secret_key: str | None = setting(
        "SECRET_KEY",
        KEY,
        None,
        gettext_noop("The key that Django signs with."),
        shown=gettext_noop("made once and kept in the data folder"),
        secret=True,
    )
    log_format: Literal["json", "text"] = setting(
        "OPENREMBG_LOG_FORMAT",
        one_of("json", "text"),
        "json",
        gettext_noop("The shape of a log line."),
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "OPENREMBG_LOG_LEVEL",
        one_of("debug", "info", "warning", "error"),
        "info",
        gettext_noop("The least important log lines that are still written."),
    )
    traces: Literal["off", "on"] = setting(
        "OPENREMBG_TRACES",
        one_of("off", "on"),
        "off",
        gettext_noop(
            "Whether requests are traced by OpenTelemetry, which the extra `otel` brings; its "
            "`OTEL_…` variables say where spans are sent."
        ),
    )

    def __post_init__(self) -> None:
        """Raise SettingsError for settings that do not go together."""
        if self.limits == "redis" and self.redis_url is None:
            raise SettingsError("OPENREMBG_LIMITS is redis, so REDIS_URL must name one.")
        if self.limits == "memory" and self.processes > 1:
            raise SettingsError(
                "OPENREMBG_LIMITS is memory, which processes do not share, so OPENREMBG_PROCESSES "
                "must be 1."
            )
        if self.ray_min_replicas > self.ray_max_replicas:
            raise SettingsError(
                "OPENREMBG_RAY_MIN_REPLICAS must not be more than OPENREMBG_RAY_MAX_REPLICAS."
            )
        if self.inference == "ray" and self.ray_address is None and self.processes > 1:
            raise SettingsError(
                "OPENREMBG_INFERENCE is ray without OPENREMBG_RAY_ADDRESS, so that each process "
                "would start a Ray of its own: OPENREMBG_PROCESSES must be 1."
            )

    def workers_on(self, cores: int) -> int:
        """Return how many pictures are computed at once: more where they wait for a cluster."""
        return self.workers or cores * (PICTURES_PER_CORE if self.inference == "ray" else 1)

    @property
    def replicas(self) -> Replicas:
        """What a Ray cluster is to run."""
        return Replicas(
            model=self.model,
            models_dir=None if self.models_dir is None else str(self.models_dir),
            provider=self.provider,
            precision=self.precision,
            min_replicas=self.ray_min_replicas,
            max_replicas=self.ray_max_replicas,
            cpus=self.ray_replica_cpus,
            gpus=self.ray_replica_gpus,
            calls=self.ray_replica_calls,
            queue=self.ray_queue,
            timeout_s=self.ray_timeout_s,
        )

    @property
    def models_folder(self) -> Path:
        """Where pulled models lie."""
        return self.models_dir or self.data_dir / "models"

    @property
    def spool_folder(self) -> Path:
        """Where uploads lie until they are answered."""
        return self.data_dir / "spool"

    @property
    def outbox_folder(self) -> Path:
        """Where mails lie when there is no mail server."""
        return self.data_dir / "outbox"

    @property
    def database(self) -> dict[str, object]:
        """The database as Django wants to have it described."""
        return self.database_url or sqlite(self.data_dir / "openrembg.db")

    @property
    def sells(self) -> bool:
        """Whether plans and credits are sold: whoever pays gets them by a signed event."""
        return self.stripe_secret_key is not None and self.stripe_webhook_secret is not None

    @property
    def has_postgresql(self) -> bool:
        """Whether the database is a PostgreSQL."""
        return self.database["ENGINE"] == "django.db.backends.postgresql"

    @property
    def limits_store(self) -> Literal["memory", "redis", "database"]:
        """Where request limits are counted, with `auto` resolved."""
        if self.limits != "auto":
            return self.limits
        if self.redis_url is not None:
            return "redis"
        return "database" if self.has_postgresql or self.processes > 1 else "memory"


def kept_secret_key(folder: Path) -> str:
    """Return the secret key of `folder`, made at the first call: readable by its owner alone.

    Raises SettingsError when it cannot be kept or read.
    """
    path = folder / "secret_key"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make_secret_key(path, folder / f".secret_key.{secrets.token_hex(8)}")
        return path.read_text("ascii").strip()
    except OSError as error:
        raise SettingsError(
            f"The secret key cannot be kept in {folder}: {error.strerror}."
        ) from error


def _make_secret_key(path: Path, fresh: Path) -> None:
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    # A hard link is atomic and fails when another process was first: its key wins.
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            path.hardlink_to(fresh)
    finally:
        fresh.unlink()


def database_settings(chosen: Settings) -> dict[str, Any]:
    """Return Django's settings for the chosen database, with a pool in front of PostgreSQL."""
    database = dict(chosen.database)
    if chosen.has_postgresql:
        # Not before: this imports the image library, which most commands do without.
        from openrembg.matting.runtime import available_cores
        from openrembg.server.postgresql.patience import POOL_S, Connection

        most = chosen.database_connections or max(16, chosen.workers_on(available_cores()) + 8)
        pool = {"min_size": 1, "max_size": most, "connection_class": Connection}
        # A pool that tried for long would try ever more seldom, and come back late.
        pool |= {"timeout": POOL_S, "reconnect_timeout": 3}
        database["ENGINE"] = "openrembg.server.postgresql"
        # A connection of the pool may be older than the server that answers now.
        database["CONN_HEALTH_CHECKS"] = True
        # Statements of the paid way are the same each time: PostgreSQL plans them once.
        prepared = {"server_side_binding": True, "prepare_threshold": 3}
        options = cast(dict[str, Any], database["OPTIONS"])
        database["OPTIONS"] = {"connect_timeout": 5, **options, **prepared, "pool": pool}
    return database


def cache_settings(store: str, redis_url: str | None) -> dict[str, Any]:
    """Return where the pages count attempts: with the request limits, across processes."""
    # When it is full, entries are thrown out at random; with few, a flood would clear the counts.
    options: dict[str, Any] = {"MAX_ENTRIES": 100_000}
    if store == "database":
        backend = "django.core.cache.backends.db.DatabaseCache"
        return {"default": {"BACKEND": backend, "LOCATION": CACHE_TABLE, "OPTIONS": options}}
    if store == "redis" and redis_url is not None:
        backend = "openrembg.server.web.cache.RedisOrLocal"
        return {"default": {"BACKEND": backend, "LOCATION": redis_url, "OPTIONS": options}}
    backend = "django.core.cache.backends.locmem.LocMemCache"
    return {"default": {"BACKEND": backend, "OPTIONS": options}}


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def own_part(whole: Settings) -> Settings:
    """Return the settings of this process: the server's, or its share when it is one of several."""
    mine = place()
    return whole if mine is None else share_of(whole, mine.membership.index)


OPENREMBG: Final = own_part(read(Settings, os.environ))


@cache
def _secret_key() -> str:
    return OPENREMBG.secret_key or kept_secret_key(OPENREMBG.data_dir)


class _SecretKey:
    def __str__(self) -> str:
        return _secret_key()


SECRET_KEY = lazystr(_SecretKey())
DEBUG = False
ALLOWED_HOSTS = list(OPENREMBG.allowed_hosts)
INSTALLED_APPS = [
    "openrembg.server",
    "openrembg.server.accounts",
    "openrembg.server.billing",
    "openrembg.server.manual",
    "openrembg.server.quota",
    "openrembg.server.removal",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "openrembg.server.web.apps.OperatorsConfig",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "ninja",
]
MIDDLEWARE = [
    "openrembg.server.observability.requests.observe",
    "openrembg.server.security.safe_headers",
    "openrembg.server.quota.headers.rate_limit_headers",
    "openrembg.server.cors.cors",
    "openrembg.server.answers.one_shape",
    "openrembg.server.web.compressed.compressed_static",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "openrembg.server.answers.head_as_get",
    # For the pages; the API reads neither cookies nor languages.
    "openrembg.server.web.pages.PageSessions",
    "openrembg.server.web.pages.PageLanguage",
    "openrembg.server.web.pages.PageForms",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
]
ROOT_URLCONF = "openrembg.server.urls"
WSGI_APPLICATION = "openrembg.server.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "openrembg.server.web.frame.frame",
            ]
        },
    }
]
DATABASES: dict[str, Any] = {"default": database_settings(OPENREMBG)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["openrembg.server.accounts.backend.Backend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email",)},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_ADAPTER = "openrembg.server.accounts.adapter.Adapter"
ACCOUNT_FORMS = {
    "signup": "openrembg.server.accounts.forms.SignUpForm",
    "reset_password": "openrembg.server.accounts.forms.ForgottenPasswordForm",
    "change_password": "openrembg.server.accounts.forms.NewPasswordForm",
    "add_email": "openrembg.server.accounts.forms.NewAddressForm",
}
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
# Only in the browser that has just given the password; the link alone opens nothing.
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
# Beside allauth's own: wrong passwords for one account, wherever they come from, and mails to an
# address that somebody wants to change to; and calls to Stripe, which may be slow.
ACCOUNT_RATE_LIMITS = {
    "login_failed_anywhere": "50/h/key",
    "change_of_address": "1/3m/key",
    "stripe_page": "10/m/user",
}
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
# Whoever has a session may not change the account's doors without the password once more.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "account_home"
MFA_ADAPTER = "openrembg.server.accounts.second_factor.SecondFactor"
MFA_TOTP_ISSUER = "openrembg"
# Clocks of phones are off by some seconds.
MFA_TOTP_TOLERANCE = 1
MFA_RECOVERY_CODES_SHOW_ONCE = True
CACHES = cache_settings(OPENREMBG.limits_store, OPENREMBG.redis_url)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = OPENREMBG.mail_from
if OPENREMBG.email_url is None:
    EMAIL_BACKEND = "openrembg.server.accounts.outbox.Outbox"
else:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = OPENREMBG.email_url.host
    EMAIL_PORT = OPENREMBG.email_url.port
    EMAIL_HOST_USER = OPENREMBG.email_url.user
    EMAIL_HOST_PASSWORD = OPENREMBG.email_url.password
    EMAIL_USE_TLS = OPENREMBG.email_url.security == "starttls"
    EMAIL_USE_SSL = OPENREMBG.email_url.security == "tls"
_IS_SECURE = (OPENREMBG.public_url or "").startswith("https://")
SESSION_COOKIE_NAME = "openrembg_session"
CSRF_COOKIE_NAME = "openrembg_csrf"
LANGUAGE_COOKIE_NAME = "openrembg_language"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _IS_SECURE
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
CSRF_TRUSTED_ORIGINS = [origin_of(OPENREMBG.public_url)] if OPENREMBG.public_url else []
CSRF_FAILURE_VIEW = "openrembg.server.web.refusals.csrf_failure"
# Messages name addresses, which a cookie would carry about.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", "English"),
    ("fa", "Persian"),
    ("id", "Indonesian"),
    ("ja", "Japanese"),
    ("ko", "Korean"),
]
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
LOGGING = logging_config(OPENREMBG.log_format, OPENREMBG.log_level)
