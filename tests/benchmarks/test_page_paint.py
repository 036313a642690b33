from benchmarks.page_paint import PagePaint, page_paint_table
from benchmarks.series import Series


def row(page: PagePaint) -> list[str]:
    return [cell.strip() for cell in page_paint_table([page]).splitlines()[-1].split("|")[1:-1]]


def test_the_goal_is_held_against_the_slower_of_both() -> None:
    page = PagePaint("/en/", 20_000, 149_900, 9, Series((100.0,)), Series((900.0, 1001.0, 1100.0)))

    cells = row(page)

    assert cells[:5] == ["/en/", "9", "20.0", "149.9", "150 kB met"]
    assert cells[5:] == ["100 (100–100)", "1001 (900–1100)", "1 s missed"]


def test_too_many_bytes_miss_the_goal() -> None:
    page = PagePaint("/en/", 20_000, 150_100, 9, Series((100.0,)), Series((900.0,)))

    assert row(page)[4] == "150 kB missed"
