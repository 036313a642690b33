from benchmarks.__main__ import arguments
from benchmarks.membership import Membership, Mode, membership_table


def test_usage_is_measured_alone_when_it_is_named() -> None:
    chosen = arguments(["--membership"])

    assert (chosen.membership, chosen.library, chosen.server) == (True, False, False)


def test_percentiles_are_values_that_were_not_exceeded() -> None:
    mode = Mode("a month", tuple(float(number) for number in range(101)))

    assert (mode.percentile(50), mode.percentile(99)) == (50.0, 99.0)


def test_table_says_whether_the_goal_was_met() -> None:
    modes = (Mode("quick", (1.0,) * 100), Mode("slow", (99.0,) * 100))
    quick, slow = membership_table(Membership(1, modes)).splitlines()[2:]

    assert "50 ms met" in quick
    assert "50 ms missed" in slow
