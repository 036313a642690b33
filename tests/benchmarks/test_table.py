import pytest
from benchmarks.table import table


def test_columns_are_padded_first_left_and_others_right() -> None:
    text = table(("photo", "ms"), [("1 MP", "7.5"), ("100 MP", "1234.5")])

    assert text.splitlines() == [
        "| photo  |     ms |",
        "| ------ | -----: |",
        "| 1 MP   |    7.5 |",
        "| 100 MP | 1234.5 |",
    ]


def test_row_with_a_missing_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="as many cells"):
        table(("photo", "ms"), [("1 MP",)])
