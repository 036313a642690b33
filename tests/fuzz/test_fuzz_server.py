"""A real server, connections that no client would make, and a corpus that is posted to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from campaign import credits_moved
from framing import cases
from fuzz_command import main
from own_server import OwnServer, own_server
from raw_requests import exchange
from seeds import seeds

from pictures import picture

CASES = {name: (data, expected) for name, data, expected in cases()}
FINDINGS = Path(__file__).parent / "findings"


@dataclass(slots=True)
class Visited:
    """A server, and how many credits the raw answers said that they cost."""

    own: OwnServer
    charged: int = 0


@pytest.fixture(scope="module")
def visited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    """A server that all tests share: each finds what the ones before it left.

    In the end it is alive, and has charged what its answers said.
    """
    with own_server(tmp_path_factory.mktemp("server")) as running:
        before, visit = running.target.usage(), Visited(running)
        yield visit
        assert credits_moved(before, running.target.usage()) == visit.charged
        running.verify_ledger()


@pytest.mark.parametrize("name", CASES)
def test_a_connection_gets_the_answers_that_it_deserves(visited: Visited, name: str) -> None:
    data, expected = CASES[name]
    key = visited.own.target.key.encode()
    data = data.replace(b"\r\nHost: fuzz", b"\r\nHost: fuzz\r\nx-api-key: " + key)
    wanted = [each for each in expected if each]
    got = exchange(visited.own.service, data, len(wanted))
    visited.charged += sum(answer.charged for answer in got)
    statuses = [answer.status for answer in got]
    assert len(wanted) <= len(statuses) <= len(expected), statuses
    assert all(status in each for status, each in zip(statuses, wanted, strict=False)), got


def test_a_corpus_is_posted_in_every_format_and_its_credits_add_up(
    visited: Visited, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in FINDINGS.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("progressive.jpg", "interlaced.png", "animated.webp", "rle8.bmp"):
        (tmp_path / name).write_bytes(seeds()[name])
    (tmp_path / "photo.png").write_bytes(picture("PNG"))
    target = visited.own.target
    before = target.usage()
    server = ("--server", target.url, "--api-key", target.key, "--limit-s", "60", "--jobs", "2")
    code = main([str(tmp_path), *server])
    said = capsys.readouterr()
    visited.charged += credits_moved(before, target.usage())
    assert code == 0, said.err
    assert "findings     0" in said.out
    assert "credits      0" not in said.out
