from benchmarks.goals import at_least, at_most


def test_ratio_meets_its_goal_at_the_goal_and_misses_it_below() -> None:
    assert at_least(10.0, 10) == "10 × met"
    assert at_least(9.99, 10) == "10 × missed"


def test_memory_meets_its_goal_at_the_goal_and_misses_it_above() -> None:
    assert at_most(0.35, 0.35, "GB") == "0.35 GB met"
    assert at_most(0.36, 0.35, "GB") == "0.35 GB missed"


def test_number_without_a_goal_gets_a_dash() -> None:
    assert at_least(1.0, None) == at_most(1.0, None, "s") == "–"
