"""Broken pictures through the library: only its own errors come out, and its process lives on."""

import os
import signal
from itertools import islice
from pathlib import Path

import pytest
from decoding import MIB, decoder, judge_here, judge_work
from mutating import examples, mutate
from seeds import seeds

FINDINGS = Path(__file__).parent / "findings"
# What each was when it was found is in the name; this is what becomes of it now.
OUTCOMES = {
    "segments-without-end.jpg": "UnsupportedImage",
    "exif-in-a-thousand-pieces.jpg": "cut out",
    "fill-bytes.jpg": "cut out",
    "comments-without-end.png": "UnsupportedImage",
    "nine-profiles.png": "UnsupportedImage",
    "exif-of-a-thousand-tags.png": "cut out",
    "runs-of-one-pixel.bmp": "cut out",
    "small-frame-on-a-large-canvas.webp": "decoded",
    "twenty-scans-of-a-giant.jpg": "UndecodableImage",
}


def test_every_finding_has_an_outcome() -> None:
    assert {path.name for path in FINDINGS.iterdir()} == set(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_was_found_once_is_no_finding_any_more(name: str) -> None:
    verdict = judge_here((FINDINGS / name).read_bytes())
    assert (verdict.outcome, verdict.fault) == (OUTCOMES[name], "")


def test_seeds_are_sound() -> None:
    verdicts = {name: judge_here(data) for name, data in seeds().items()}
    assert {verdict.outcome for verdict in verdicts.values()} == {"cut out"}, verdicts


def test_hundreds_of_broken_pictures_raise_nothing_but_our_own_errors() -> None:
    with decoder() as child:
        verdicts = [(name, child.judge(data)) for name, data in islice(examples(0), 500)]
    assert [(name, verdict) for name, verdict in verdicts if verdict.fault] == []
    assert {"cut out", "UndecodableImage", "UnsupportedImage", "ImageTooLarge"} <= {
        verdict.outcome for _, verdict in verdicts
    }


def test_the_same_seed_gives_the_same_files() -> None:
    assert list(islice(examples(3), 60)) == list(islice(examples(3), 60))
    assert list(islice(examples(3), 60)) != list(islice(examples(4), 60))


def test_a_child_that_dies_is_a_finding_and_another_takes_its_place() -> None:
    with decoder() as child:
        assert child.judge(b"nothing").outcome == "UnsupportedImage"
        assert child.pid is not None
        os.kill(child.pid, signal.SIGSEGV)
        assert child.judge(b"nothing").fault == "the process died: SIGSEGV"
        assert child.judge(b"nothing").outcome == "UnsupportedImage"


def test_too_slow_is_a_finding() -> None:
    assert "took" in judge_here(seeds()["baseline.jpg"], limit_s=-1.0).fault


def test_memory_is_each_files_own() -> None:
    grown = [judge_work(lambda size=size: fill(size)).grew_bytes / MIB for size in (96, 64, 1)]
    assert [size - grew < 8 for size, grew in zip((96, 64, 1), grown, strict=True)] == [True] * 3
    assert grown[2] < 32


def fill(mebibytes: int) -> str:
    """Hold so much memory for a moment."""
    return str(bytearray(b"x") * (mebibytes * MIB))[:0]


def test_a_run_tells_how_many_files_it_judged() -> None:
    said: list[str] = []
    assert mutate(0.1, 0, said.append) == []
    assert "files" in said[-1]
