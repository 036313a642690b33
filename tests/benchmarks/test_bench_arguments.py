import pytest
from benchmarks.__main__ import arguments


def test_no_part_named_means_all_parts() -> None:
    chosen = arguments(["--quick"])

    assert (chosen.library, chosen.server, chosen.setup) == (True, True, True)


def test_named_part_runs_alone() -> None:
    chosen = arguments(["--load"])

    assert (chosen.library, chosen.server, chosen.load) == (False, False, True)


def test_sizes_are_read_as_a_list() -> None:
    assert arguments(["--megapixels", "0.5,100"]).megapixels == (0.5, 100.0)


@pytest.mark.parametrize("text", ["", "one", "0", "101", "1,,2"])
def test_impossible_sizes_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--megapixels", text])

    assert "megapixels" in capsys.readouterr().err
