"""The load that every fault is put under, on a house in order: nothing fails, every credit fits."""

from pathlib import Path

import pytest
from mixed_load import MIX, assert_the_books_agree, mixed_load

from houses import house

pytestmark = pytest.mark.wire


def test_without_a_fault_everything_is_answered_and_charged_once(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        server = home.start()
        key = home.member(10_000)
        with mixed_load([server], key) as load:
            load.wait_for(6 * len(MIX))
        assert not load.unexpected()
        assert {one.asked.kind for one in load.seen} == {asked.kind for asked in MIX}
        assert_the_books_agree(home, server, load)
