import os
import stat
from pathlib import Path

from openrembg.server.inference.session_folder import MOST_BYTES, SessionFolder


def test_it_is_nobody_elses_and_short_enough_for_sockets() -> None:
    folder = SessionFolder()
    try:
        assert stat.S_IMODE(folder.path.parent.stat().st_mode) == 0o700
        assert len(os.fsencode(folder.path)) <= MOST_BYTES
    finally:
        folder.remove()
    assert not folder.path.parent.exists()


def test_the_next_one_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / f"openrembg-{os.getuid()}-left"
    (left / "session").mkdir(parents=True)
    (left / "openrembg.lock").touch()
    stranger = tmp_path / "openrembg-stranger"
    stranger.mkdir()
    first = SessionFolder(tmp_path)
    second = SessionFolder(tmp_path)
    assert set(tmp_path.iterdir()) == {stranger, first.path.parent, second.path.parent}
    first.remove()
    second.remove()
    assert set(tmp_path.iterdir()) == {stranger}
