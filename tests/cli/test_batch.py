"""Worker threads: every job once, bounded pixels, and an early end that drops what waits."""

import threading
from pathlib import Path

from openrembg.cli.batch import Outcome, PixelGate, failure_line, run
from openrembg.cli.inputs import Failure
from openrembg.cli.outputs import Job

JOBS = tuple(Job(Path(f"{number}.jpg"), Path(f"{number}.webp")) for number in range(50))


def test_every_job_has_one_outcome() -> None:
    outcomes = list(run(JOBS, lambda job: Outcome(job, "done"), threads=4))
    assert sorted(str(item.job.source) for item in outcomes) == sorted(
        str(job.source) for job in JOBS
    )


def test_no_more_jobs_run_at_once_than_asked_for() -> None:
    running, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2, timeout=20)

    def work(job: Job) -> Outcome:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait()
        with lock:
            running -= 1
        return Outcome(job, "done")

    assert len(list(run(JOBS, work, threads=2))) == len(JOBS)
    assert most == 2


def test_when_the_listener_stops_waiting_jobs_are_dropped() -> None:
    begun: list[Job] = []

    def work(job: Job) -> Outcome:
        begun.append(job)
        return Outcome(job, "done")

    outcomes = run(JOBS, work, threads=2)
    next(outcomes)
    outcomes.close()
    count = len(begun)
    assert count < len(JOBS)
    assert not [thread for thread in threading.enumerate() if "openrembg-remove" in thread.name]


def test_the_gate_lets_in_what_fits_and_a_larger_picture_alone() -> None:
    gate, inside = PixelGate(100), threading.Event()

    def enter() -> None:
        with gate.admit(500):
            inside.set()

    with gate.admit(60), gate.admit(40):
        large = threading.Thread(target=enter)
        large.start()
        assert not inside.wait(0.1)
    assert inside.wait(20)
    large.join()


def test_the_gate_opens_again_after_an_error() -> None:
    gate = PixelGate(10)
    for _ in range(3):
        try:
            with gate.admit(10):
                raise ValueError
        except ValueError:
            continue
    with gate.admit(10):
        pass


def test_a_failure_is_one_line() -> None:
    line = failure_line(Failure("a\nb[red].jpg", "It is broken"))
    assert line == "failed: a\\nb[red].jpg: It is broken"
