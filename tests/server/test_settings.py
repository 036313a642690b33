import dataclasses
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openrembg.server.describe import settings as settings_page
from openrembg.server.environment import MailServer, SettingsError, described, read
from openrembg.server.settings import Settings, kept_secret_key

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def refused(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(Settings, environ)
    return str(caught.value)


def test_nothing_set_means_every_default() -> None:
    assert read(Settings, {}) == Settings()
    assert read(Settings, {about.name: " " for about in described(Settings)}) == Settings()


def test_values_are_read_with_their_types() -> None:
    chosen = read(
        Settings,
        {
            "OPENREMBG_DATA_DIR": "/srv/openrembg",
            "OPENREMBG_PORT": "9000",
            "OPENREMBG_PROVIDER": "ONNXruntime",
            "OPENREMBG_ANONYMOUS_PER_DAY": "-1",
            "OPENREMBG_ALLOWED_HOSTS": "a.example, .b.example,",
            "OPENREMBG_TRUSTED_PROXIES": "10.0.0.0/8,::1",
            "OPENREMBG_CORS_ORIGINS": "https://a.example,http://localhost:3000",
            "OPENREMBG_PUBLIC_URL": "https://api.example/",
            "REDIS_URL": "redis://:pw@redis:6379/1",
        },
    )
    assert (chosen.data_dir, chosen.port) == (Path("/srv/openrembg"), 9000)
    assert chosen.models_folder == Path("/srv/openrembg/models")
    assert (chosen.provider, chosen.anonymous_per_day) == ("onnxruntime", -1)
    assert chosen.allowed_hosts == ("a.example", ".b.example")
    assert [str(network) for network in chosen.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert chosen.cors_origins == ("https://a.example", "http://localhost:3000")
    assert chosen.public_url == "https://api.example"
    assert chosen.redis_url == "redis://:pw@redis:6379/1"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENREMBG_PORT", "eighty"),
        ("OPENREMBG_PORT", "0"),
        ("OPENREMBG_PORT", "65536"),
        ("OPENREMBG_PORT", "８０"),
        ("OPENREMBG_WORKERS", "0"),
        ("OPENREMBG_PROCESSES", "0"),
        ("OPENREMBG_PROCESSES", "65"),
        ("OPENREMBG_QUEUE", "-1"),
        ("OPENREMBG_PIXEL_BUDGET", "64.5"),
        ("OPENREMBG_ANONYMOUS_PER_MINUTE", "-2"),
        ("OPENREMBG_PROVIDER", "tpu"),
        ("OPENREMBG_PRECISION", "int8"),
        ("OPENREMBG_LOG_FORMAT", "xml"),
        ("OPENREMBG_TRUSTED_PROXIES", "10.0.0.0/99"),
        ("OPENREMBG_PUBLIC_URL", "api.example"),
        ("OPENREMBG_CORS_ORIGINS", "https://a.example/path"),
        ("OPENREMBG_CORS_ORIGINS", "a.example"),
        ("STRIPE_API_BASE", "https://api.stripe.com/v1"),
        ("STRIPE_API_BASE", "api.stripe.com"),
    ],
)
def test_nonsense_is_one_sentence_with_the_name_and_the_value(name: str, value: str) -> None:
    sentence = refused(**{name: value})
    assert sentence.startswith(f"{name} must be a ")
    assert sentence.endswith(f", not '{value}'.")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "address",
    ["http://hunter2", "redis:hunter2", "redis://", "redis://:hunter2@h:port/0", "unix://hunter2"],
)
def test_a_bad_secret_is_refused_and_not_repeated(address: str) -> None:
    sentence = refused(REDIS_URL=address)
    assert sentence.startswith("REDIS_URL must be a Redis address")
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_SECRET_KEY", "whsec_mixed_up"),
        ("STRIPE_SECRET_KEY", "pk_live_mixed_up"),
        ("STRIPE_SECRET_KEY", "sk_test_mixed_up\nsk_test_2"),
        ("STRIPE_SECRET_KEY", "sk_test_mixed_up…"),
        ("STRIPE_WEBHOOK_SECRET", "sk_live_mixed_up"),
        ("STRIPE_WEBHOOK_SECRET", "rk_live_mixed_up"),
        ("STRIPE_WEBHOOK_SECRET", "pk_live_mixed_up"),
    ],
)
def test_keys_of_stripe_that_are_mixed_up_are_refused_and_not_repeated(
    name: str, value: str
) -> None:
    sentence = refused(**{name: value})
    assert sentence.startswith(f"{name} must be a text")
    assert "mixed_up" not in sentence


def test_plans_are_sold_when_stripe_can_be_asked_and_believed() -> None:
    key, secret = {"STRIPE_SECRET_KEY": "rk_test_1"}, {"STRIPE_WEBHOOK_SECRET": "any text"}
    assert read(Settings, {**key, **secret}).sells
    for some in ({}, key, secret):
        assert not read(Settings, some).sells


@pytest.mark.parametrize("name", ["REDIS_URL", "SECRET_KEY"])
def test_a_secret_may_lie_in_a_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / "secret"
    file.write_text("redis://from-a-file\n")
    chosen = read(Settings, {f"{name}_FILE": str(file)})
    assert "redis://from-a-file" in (chosen.redis_url, chosen.secret_key)


def test_a_secret_in_two_places_or_in_no_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("x")
    both = refused(SECRET_KEY="a", SECRET_KEY_FILE=str(file))
    assert both == "Set SECRET_KEY or SECRET_KEY_FILE, not both."
    missing = refused(SECRET_KEY_FILE=str(tmp_path / "missing"))
    assert missing == "SECRET_KEY_FILE names a file that cannot be read."


def test_the_secret_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: kept_secret_key(folder), range(8)))
    assert len(keys) == 1
    assert len(keys.pop()) >= 50
    assert [path.name for path in folder.iterdir()] == ["secret_key"]
    assert stat.S_IMODE((folder / "secret_key").stat().st_mode) == 0o600


def test_importing_the_settings_touches_no_disk(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    code = (
        "import django; django.setup(); from django.conf import settings; from pathlib import Path;"
        f"assert not Path({str(folder)!r}).exists();"
        "print(len(str(settings.SECRET_KEY)) >= 50, end='')"
    )
    environ = {
        **os.environ,
        "OPENREMBG_DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "openrembg.server.settings",
        "SECRET_KEY": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True"
    assert (folder / "secret_key").exists()


def test_every_setting_is_documented() -> None:
    abouts = described(Settings)
    assert len(abouts) == len(dataclasses.fields(Settings))
    for about in abouts:
        assert about.description.endswith(".")
        assert about.default
        assert about.kind
    assert PAGE.read_text("utf-8") == settings_page(), (
        "python -m openrembg.server.describe settings > docs/settings.md"
    )


def test_every_setting_is_used_somewhere() -> None:
    folder = Path(__file__).parents[2] / "src" / "openrembg" / "server"
    code = "".join(path.read_text("utf-8") for path in folder.rglob("*.py"))
    for field in dataclasses.fields(Settings):
        assert f".{field.name}" in code, field.name


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ada:p%40ss@db:6432/openrembg?sslmode=require",
            {
                "NAME": "openrembg",
                "HOST": "db",
                "PORT": "6432",
                "USER": "ada",
                "PASSWORD": "p@ss",
                "OPTIONS": {"sslmode": "require"},
            },
        ),
        (
            "postgres:///openrembg?host=/run/postgresql",
            {"NAME": "openrembg", "HOST": "/run/postgresql", "PORT": "", "OPTIONS": {}},
        ),
        ("sqlite:////srv/my%20data.db", {"NAME": "/srv/my data.db"}),
    ],
)
def test_a_database_is_read_from_its_address(url: str, expected: dict[str, object]) -> None:
    database = read(Settings, {"DATABASE_URL": url}).database
    assert {name: database[name] for name in expected} == expected


@pytest.mark.parametrize(
    "url",
    ["mysql://db/x", "postgresql://db", "sqlite://x.db", "sqlite:///", "db", "postgres://h:x/d"],
)
def test_an_address_of_no_database_is_refused(url: str) -> None:
    assert refused(DATABASE_URL=url).startswith("DATABASE_URL must be a database address such as")


def test_a_refused_address_is_not_repeated() -> None:
    assert "geheim" not in refused(DATABASE_URL="mysql://ada:geheim@db/x")
    assert "geheim" not in refused(EMAIL_URL="mail://ada:geheim@mail")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail", MailServer("mail", 25, "", "", "")),
        ("smtp+tls://ada:p%3Aw@mail", MailServer("mail", 587, "ada", "p:w", "starttls")),
        ("smtps://mail:2465", MailServer("mail", 2465, "", "", "tls")),
    ],
)
def test_a_mail_server_is_read_from_its_address(url: str, expected: MailServer) -> None:
    assert read(Settings, {"EMAIL_URL": url}).email_url == expected


@pytest.mark.parametrize("url", ["http://mail", "smtp://", "smtp://mail/x", "mail"])
def test_an_address_of_no_mail_server_is_refused(url: str) -> None:
    assert refused(EMAIL_URL=url).startswith("EMAIL_URL must be a mail server's address")


@pytest.mark.parametrize("text", ["nobody", "a@b\nBcc: c@d", "<>"])
def test_a_sender_that_is_none_is_refused(text: str) -> None:
    assert refused(OPENREMBG_MAIL_FROM=text).startswith("OPENREMBG_MAIL_FROM must be a mail")


@pytest.mark.parametrize(
    ("environ", "store"),
    [
        ({}, "memory"),
        ({"DATABASE_URL": "postgres://db/x"}, "database"),
        ({"DATABASE_URL": "postgres://db/x", "REDIS_URL": "redis://r"}, "redis"),
        ({"REDIS_URL": "redis://r", "OPENREMBG_LIMITS": "memory"}, "memory"),
        ({"OPENREMBG_LIMITS": "database"}, "database"),
        ({"OPENREMBG_PROCESSES": "2"}, "database"),
        ({"OPENREMBG_PROCESSES": "2", "REDIS_URL": "redis://r"}, "redis"),
    ],
)
def test_limits_are_counted_where_all_servers_see_them(environ: dict[str, str], store: str) -> None:
    assert read(Settings, environ).limits_store == store


def test_limits_in_a_redis_need_one() -> None:
    assert "REDIS_URL" in refused(OPENREMBG_LIMITS="redis")


def test_limits_in_memory_are_refused_for_several_processes() -> None:
    assert "OPENREMBG_PROCESSES must be 1" in refused(
        OPENREMBG_LIMITS="memory", OPENREMBG_PROCESSES="2"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPENREMBG_PUBLIC_URL", "https://a b"),
        ("OPENREMBG_PUBLIC_URL", "http://u:p@x"),
        ("OPENREMBG_PUBLIC_URL", "http://x:y"),
        ("OPENREMBG_ALLOWED_HOSTS", "http://x"),
        ("OPENREMBG_ALLOWED_HOSTS", "a b"),
        ("REDIS_URL", "redis://h/abc"),
        ("SECRET_KEY", "x"),
    ],
)
def test_what_could_never_work_is_refused(name: str, value: str) -> None:
    assert refused(**{name: value}).startswith(f"{name} must be a ")


def test_a_cluster_is_named_by_host_and_port() -> None:
    for good in ("10.0.0.1:6379", "ray-head.default.svc:6379", "[fd00::1]:6379"):
        assert read(Settings, {"OPENREMBG_RAY_ADDRESS": good}).ray_address == good
    for bad in ("10.0.0.1", "ray://10.0.0.1:10001", "user@host:1", "host:port", "host:0", ":1"):
        assert "OPENREMBG_RAY_ADDRESS must be a host and port" in refused(OPENREMBG_RAY_ADDRESS=bad)


def test_replicas_have_a_least_and_a_most_that_fit() -> None:
    words = {"OPENREMBG_RAY_MIN_REPLICAS": "5", "OPENREMBG_RAY_MAX_REPLICAS": "4"}
    assert "must not be more than OPENREMBG_RAY_MAX_REPLICAS" in refused(**words)


def test_several_processes_do_not_each_start_a_ray() -> None:
    words = {"OPENREMBG_INFERENCE": "ray", "OPENREMBG_PROCESSES": "2"}
    assert "OPENREMBG_PROCESSES must be 1" in refused(**words)
    assert read(Settings, {**words, "OPENREMBG_RAY_ADDRESS": "ray:6379"}).processes == 2


def test_more_pictures_are_on_their_way_when_a_cluster_computes() -> None:
    assert read(Settings, {}).workers_on(8) == 8
    assert read(Settings, {"OPENREMBG_INFERENCE": "ray"}).workers_on(8) == 32
    words = {"OPENREMBG_INFERENCE": "ray", "OPENREMBG_WORKERS": "3"}
    assert read(Settings, words).workers_on(8) == 3
