from openrembg.server.processes.share import LEAST_SPOOL_MB, part, share_of
from openrembg.server.settings import Settings


def test_the_parts_make_up_the_whole() -> None:
    for whole in (3, 7, 64, 1000):
        parts = [part(whole, 3, index, least=0) for index in range(3)]
        assert sum(parts) == whole
        assert max(parts) - min(parts) <= 1


def test_limits_of_the_server_are_divided_among_its_processes() -> None:
    whole = Settings(processes=2, workers=4, threads=8, queue=65, pixel_budget=64, spool_mb=4096)
    shares = [share_of(whole, index) for index in range(2)]
    assert [one.workers for one in shares] == [2, 2]
    assert [one.threads for one in shares] == [4, 4]
    assert [one.queue for one in shares] == [33, 32]
    assert [one.pixel_budget for one in shares] == [32, 32]
    assert [one.spool_mb for one in shares] == [2048, 2048]


def test_each_process_can_take_one_upload_and_compute_one_picture() -> None:
    whole = Settings(processes=8, workers=1, threads=1, queue=2, pixel_budget=1, spool_mb=64)
    for index in range(8):
        mine = share_of(whole, index)
        assert (mine.workers, mine.threads, mine.queue, mine.pixel_budget) == (1, 1, 1, 1)
        assert mine.spool_mb == LEAST_SPOOL_MB


def test_nobody_waits_in_any_process_when_nobody_shall_wait() -> None:
    assert share_of(Settings(processes=2, queue=0), 0).queue == 0


def test_connections_to_the_database_are_divided_too() -> None:
    asked = share_of(Settings(processes=3, database_connections=30), 0)
    assert asked.database_connections == 10
    assert share_of(Settings(processes=3), 2).database_connections == 8
    assert share_of(Settings(processes=3, database_connections=3), 0).database_connections == 4
