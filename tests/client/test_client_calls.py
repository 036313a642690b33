"""Calls that go well: the same results from both clients as from the library."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import openrembg
from odd_server import WEBP, answers, odd_server
from openrembg.client import Box, Client, Cutout, InputError, Options
from pictures import HEIGHT, WIDTH, empty_picture, opened, picture
from services import Service


@pytest.mark.parametrize(
    "options",
    [
        Options(),
        Options(format="png", w=100, h=80, exact_resize=True),
        Options(format="jpeg", bg_color="tomato", angle=-12.5),
        Options(format="bmp", mask=True, angle=90, expand=False),
    ],
)
def test_a_cutout_is_the_one_that_the_library_makes(
    ask: Any, server: Service, key: str, options: Options
) -> None:
    photo = picture("JPEG")
    told = ask("remove_background", photo, options, key=key, base_url=server.url)
    here = openrembg.remove_background(photo, options)
    assert told.data == here.data
    for fact in ("media_type", "width", "height", "foreground_detected", "model"):
        assert getattr(told, fact) == getattr(here, fact), fact
    box = here.foreground_box
    assert told.foreground_box == Box(box.top, box.left, box.width, box.height)


def test_a_cutout_tells_what_it_cost(ask: Any, server: Service, key: str) -> None:
    told = ask("remove_background", picture(), key=key, base_url=server.url)
    assert (told.credits_charged, told.credits_source, told.replayed) == (1, "included", False)
    assert told.request_id
    assert set(told.timings) == {"decode", "matte", "compose", "encode"}
    assert 0 < sum(told.timings.values()) < 300


def test_nothing_found_costs_nothing(ask: Any, server: Service, key: str) -> None:
    told = ask("remove_background", empty_picture(), key=key, base_url=server.url)
    assert (told.foreground_detected, told.credits_charged) == (False, 0)
    assert told.foreground_box == Box(0, 0, 0, 0)


def test_without_a_key_the_call_is_anonymous(ask: Any, server: Service) -> None:
    told = ask("remove_background", picture(), base_url=server.url)
    assert told.credits_source == "anonymous"


def test_one_idempotency_key_is_charged_once(ask: Any, server: Service, key: str) -> None:
    named = {"key": key, "base_url": server.url, "idempotency_key": f"order {ask}"}
    first = ask("remove_background", picture(), **named)
    again = ask("remove_background", picture(), **named)
    assert (first.replayed, first.credits_charged) == (False, 1)
    assert (again.replayed, again.credits_charged) == (True, 0)
    assert again.data == first.data


def test_calls_under_a_key_have_a_fresh_idempotency_key_each(ask: Any) -> None:
    with odd_server(answers(WEBP)) as odd:
        for _ in range(2):
            ask("remove_background", b"photo", key="k", base_url=odd.url)
        ask("remove_background", b"photo", base_url=odd.url)
    first, second, anonymous = (request.headers for request in odd.requests)
    assert first["idempotency-key"] != second["idempotency-key"]
    assert len(first["idempotency-key"]) == 36
    assert first["x-api-key"] == "k"
    assert not {"idempotency-key", "x-api-key", "authorization"} & set(anonymous)


def test_only_options_that_are_no_defaults_are_sent(ask: Any) -> None:
    with odd_server(answers(WEBP)) as odd:
        ask("remove_background", b"photo", Options(), base_url=odd.url)
        ask("remove_background", b"photo", Options(w=7, expand=False), base_url=odd.url)
    bare, full = (request.body for request in odd.requests)
    assert bare.count(b"form-data") == 1
    assert full.count(b"form-data") == 3
    assert b'name="w"\r\n\r\n7\r\n' in full
    assert b'name="expand"\r\n\r\nfalse\r\n' in full


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Width": "", "X-Foreground-Top": "1", "X-Credits-Charged": "one"},
        {"X-Width": "9" * 40, "X-Height": "-3", "Server-Timing": "decode;dur=nan,,;;,=\x7f"},
        {"X-Foreground-Detected": "perhaps", "X-Model": "", "Idempotent-Replayed": "no"},
    ],
)
def test_facts_that_are_garbled_are_none(ask: Any, headers: Mapping[str, str]) -> None:
    with odd_server(answers(WEBP, headers=headers)) as odd:
        told = ask("remove_background", b"photo", base_url=odd.url)
    assert (told.width, told.height, told.foreground_box) == (None, None, None)
    assert (told.foreground_detected, told.model, told.credits_charged) == (None, None, None)
    assert (told.replayed, told.timings, told.data) == (False, {}, WEBP)


def test_a_client_makes_many_calls_on_one_connection(server: Service, key: str) -> None:
    with Client(key, base_url=server.url) as client:
        cutouts = [client.remove_background(picture(), Options(w=32)) for _ in range(3)]
    assert len({cutout.data for cutout in cutouts}) == 1
    assert isinstance(cutouts[0], Cutout)
    assert opened(cutouts[0].data).size == (32, 32 * HEIGHT // WIDTH)


def test_options_of_another_type_are_refused(ask: Any) -> None:
    with pytest.raises(InputError, match="must be Options, not dict"):
        ask("remove_background", b"photo", {"w": 3})


def test_the_manual_example_of_the_module_runs(
    server: Service, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openrembg.client as module

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REMBG_API_KEY", key)
    monkeypatch.setenv("REMBG_API_URL", f"{server.url}/")
    Path("photo.jpg").write_bytes(picture("JPEG"))
    lines = (module.__doc__ or "").splitlines()
    exec("\n".join(line[4:] for line in lines if line.startswith("    ")), {})  # noqa: S102
    assert opened(Path("cutout.webp").read_bytes()).size == (800, 600)
