"""What several faults happen to."""

from collections.abc import Iterator

import pytest

from houses import House, house


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A SQLite database that the tests of a file share."""
    with house(tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture(scope="module")
def key(home: House) -> str:
    """The key of a user whose credits last for all tests of a file."""
    return home.member(100_000)
