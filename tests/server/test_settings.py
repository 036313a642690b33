import dataclasses
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from openrembg.server.describe import settings as settings_page
from openrembg.server.environment import SettingsError, described, read
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
