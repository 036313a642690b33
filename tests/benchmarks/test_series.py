import pytest
from benchmarks.series import Series


def test_median_and_extremes_come_from_the_values() -> None:
    series = Series((4.0, 1.0, 9.0, 2.0))

    assert (series.median, series.low, series.high) == (3.0, 1.0, 9.0)


def test_text_scales_every_number() -> None:
    assert Series((0.02, 0.01, 0.04)).text(1e3) == "20.0 (10.0–40.0)"


def test_series_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        Series(())
