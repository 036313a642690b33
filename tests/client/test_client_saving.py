"""Cut-outs that go to a file: whole or nothing."""

from pathlib import Path
from typing import Any

import pytest

from odd_server import WEBP, answers, dies_after, odd_server
from openrembg.client import InputError, NotSaved, Options, RembgError, SavedCutout
from pictures import opened, picture
from services import Service


@pytest.mark.parametrize("kind", [str, Path])
def test_a_cutout_is_streamed_into_its_file(
    ask: Any, server: Service, key: str, tmp_path: Path, kind: Any
) -> None:
    target = tmp_path / "out.png"
    named = {"key": key, "base_url": server.url}
    told = ask("save_cutout", picture(), kind(target), Options(format="png"), **named)
    assert isinstance(told, SavedCutout)
    assert (told.path, told.size_bytes) == (target, target.stat().st_size)
    assert (told.width, told.credits_charged, told.media_type) == (320, 1, "image/png")
    assert opened(target.read_bytes()).size == (320, 240)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


FAULTS = [
    dies_after(b"part", 100),
    answers({"error": "No"}, 400),
    answers(b"<html>", 200, {"Content-Type": "text/html"}),
    answers(b""),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_after_a_fault_the_old_file_is_as_it_was(ask: Any, tmp_path: Path, fault: Any) -> None:
    target = tmp_path / "out.webp"
    target.write_bytes(b"old")
    with odd_server(fault) as odd, pytest.raises(RembgError):
        ask("save_cutout", b"photo", target, base_url=odd.url, retries=0)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out.webp"]


def test_half_an_answer_is_no_part_of_the_next(ask: Any, tmp_path: Path) -> None:
    with odd_server(dies_after(b"a long beginning", 100), answers(WEBP)) as odd:
        ask("save_cutout", b"photo", tmp_path / "out", base_url=odd.url)
    assert (tmp_path / "out").read_bytes() == WEBP


def test_a_callback_that_raises_leaves_nothing(ask: Any, tmp_path: Path) -> None:
    def raises(_: object) -> None:
        raise KeyError

    with odd_server(answers(WEBP * 10_000)) as odd, pytest.raises(KeyError):
        ask("save_cutout", b"photo", tmp_path / "out", base_url=odd.url, on_download=raises)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("taken.webp", FileExistsError),
        ("folder", OSError),
        ("missing/out.webp", FileNotFoundError),
        ("taken.webp/out.webp", NotADirectoryError),
        ("x" * 300, OSError),
    ],
)
def test_a_target_that_cannot_be_is_said_before_anything_is_sent(
    ask: Any, tmp_path: Path, target: str, kind: type[Exception]
) -> None:
    (tmp_path / "taken.webp").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    with odd_server(answers(WEBP)) as odd, pytest.raises(kind):
        ask("save_cutout", b"photo", tmp_path / target, base_url=odd.url, overwrite=False)
    assert odd.requests == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "taken.webp"]
    assert (tmp_path / "taken.webp").read_bytes() == b"old"


@pytest.mark.parametrize("target", ["", "a\0b", 3, None, b"out"])
def test_a_target_that_is_no_path_is_refused(ask: Any, target: object) -> None:
    with pytest.raises(InputError, match="target"):
        ask("save_cutout", b"photo", target)


def test_a_full_disk_leaves_no_file_and_a_way_to_repeat(ask: Any, tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    charged = {"X-Credits-Charged": "1"}
    with odd_server(answers(WEBP + bytes(3 << 20), headers=charged)) as odd:
        # A file over the limit is what a full disk is: the write fails.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
        try:
            with pytest.raises(
                NotSaved, match=r"/out cannot be written: File too large\."
            ) as caught:
                ask("save_cutout", b"photo", tmp_path / "out", key="k", base_url=odd.url)
            with pytest.raises(NotSaved) as unpaid:
                ask("save_cutout", b"photo", tmp_path / "out", base_url=odd.url)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())
    told = caught.value
    assert (told.path, told.credits_charged) == (tmp_path / "out", 1)
    assert told.idempotency_key == odd.requests[0].headers["idempotency-key"]
    assert told.idempotency_key in str(told)
    assert isinstance(told.__cause__, OSError)
    assert unpaid.value.idempotency_key is None
    assert len(odd.requests) == 2


def test_a_name_that_is_taken_meanwhile_stays(ask: Any, tmp_path: Path) -> None:
    target = tmp_path / "out"
    with odd_server(answers(WEBP)) as odd, pytest.raises(NotSaved) as caught:
        ask(
            "save_cutout",
            b"photo",
            target,
            overwrite=False,
            base_url=odd.url,
            on_upload=lambda _: target.write_bytes(b"old"),
        )
    assert isinstance(caught.value.__cause__, FileExistsError)
    assert target.read_bytes() == b"old"


def test_the_target_and_not_the_draft_is_named(ask: Any, tmp_path: Path) -> None:
    target = tmp_path / "missing" / "out.webp"
    with pytest.raises(FileNotFoundError) as caught:
        ask("save_cutout", b"photo", target)
    assert caught.value.filename == str(target)
