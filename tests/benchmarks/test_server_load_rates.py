from benchmarks.load import Load
from benchmarks.rates import Stream, big_table, rate_table


def stream(side: str, output: str, images: int, clients: int = 16, peak: float = 0.3) -> Stream:
    load = Load(seconds=2.0, latencies=[0.5] * images, busy=1, failures=["500 text/plain"])
    return Stream(side, output, clients, (load, load), int(peak * 1e9))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")][1:-1]


def test_rate_is_images_by_seconds_and_its_goal_counts_at_16_clients() -> None:
    streams = (stream("ours", "png", 60), stream("peer", "png", 5, peak=4.15))

    line = cells(rate_table(streams).splitlines()[2])

    assert line[:6] == ["16", "PNG", "30.0 (30.0–30.0)", "2.5 (2.5–2.5)", "12.0 ×", "12 × met"]
    assert line[8:] == ["0.30", "0.35 GB met", "4.15", "4", "4"]


def test_fewer_clients_have_no_goal() -> None:
    streams = (stream("ours", "png", 60, clients=4), stream("peer", "png", 5, clients=4))

    line = cells(rate_table(streams).splitlines()[2])

    assert (line[5], line[9]) == ("–", "–")


def test_memory_goal_of_big_uploads_holds_for_our_side_alone() -> None:
    lines = big_table((stream("ours", "png", 16, peak=1.2), stream("peer", "png", 16, peak=16)))

    assert [cells(line)[5] for line in lines.splitlines()[2:]] == ["1 GB missed", "–"]
