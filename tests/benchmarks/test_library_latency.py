from collections import Counter

import pytest
from benchmarks.library import (
    AS_SHIPPED,
    COLORS,
    PEER,
    PLAIN,
    Row,
    Variant,
    latency_table,
    parts_table,
    turns,
)
from benchmarks.workers import Call

PARTS = {"decode": 0.004, "matte": 0.02, "compose": 0.005, "encode": 0.01}


def row(variant, seconds: tuple[float, ...], megapixels: float = 1) -> Row:
    parts = PARTS if variant.side == "ours" else None
    calls = tuple(Call(one, one * 2, 300_000_000, 650_000, parts) for one in seconds)
    return Row(megapixels, variant, calls, 0.3)


def test_every_variant_gets_its_turn_in_every_round() -> None:
    counts = Counter(turns(3))

    assert counts == dict.fromkeys((*PLAIN, *COLORS, *AS_SHIPPED, PEER), 3)


def test_each_second_round_runs_backwards() -> None:
    order = list(turns(2))
    half = len(order) // 2

    assert order[half:] == order[:half][::-1]


def test_ratio_is_that_of_the_medians_and_is_held_against_its_goal() -> None:
    rows = (row(PLAIN[0], (0.04, 0.03, 0.9)), row(PEER, (0.4, 0.39, 5.0)))

    line = latency_table(rows).splitlines()[2]

    assert "10.0 ×" in line
    assert "10 × met" in line
    assert "40.0 (30.0–900.0)" in line


def test_row_with_colours_has_a_ratio_but_no_goal() -> None:
    rows = (row(COLORS[1], (0.2,)), row(PEER, (0.4,)))

    cells = [cell.strip() for cell in latency_table(rows).splitlines()[2].split("|")]

    assert cells[2] == "WEBP + colours"
    assert cells[5:7] == ["2.0 ×", "–"]


def test_rows_of_another_model_come_last_with_its_name_and_no_goal() -> None:
    shipped = Variant("ours", "png", model="openrembg-next")
    rows = (
        row(shipped, (0.1,)),
        row(COLORS[0], (0.05,)),
        row(PLAIN[0], (0.04,)),
        row(PEER, (0.4,)),
    )

    lines = latency_table(rows).splitlines()[2:]
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]

    assert [line[2] for line in cells] == ["PNG", "PNG + colours", "PNG, openrembg-next"]
    assert [line[6] for line in cells] == ["10 × met", "–", "–"]


def test_steps_are_shown_for_our_side_alone() -> None:
    rows = (row(PLAIN[0], (0.04,)), row(PEER, (0.4,)))

    lines = parts_table(rows).splitlines()

    assert len(lines) == 3
    assert [cell.strip() for cell in lines[2].split("|")][3:10] == [
        "4.0", "20.0", "5.0", "10.0", "40.0", "80.0", "800",
    ]  # fmt: skip


def test_peer_has_no_steps() -> None:
    with pytest.raises(KeyError):
        row(PEER, (0.4,)).part("decode")
