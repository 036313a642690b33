"""What a picture costs: which part measures it, and how it is shown."""

import os
import time

import pytest
from benchmarks.__main__ import arguments
from benchmarks.capacity import Costs, costs_of
from benchmarks.capacity import arguments as capacity_arguments
from benchmarks.errand import answer
from benchmarks.errors import BenchmarkFailed
from benchmarks.processor_time import processor_s
from benchmarks.sizing import Memory, Picture, Sizing, sizing_tables
from benchmarks.sizing_charges import Charges, Storage
from benchmarks.sizing_request import Request

FOUND = Sizing(
    (Picture(1.0, "webp", 0.022, 0.05, 292_000, 85_000),),
    Request(0.012, 0.003, 0.0005, 8.0, 18.0, 2400.0, 15.0, 750.0),
    (Charges("PostgreSQL", 64, 32, 394.4, 0.0019), Charges("SQLite", 64, 8, 620.0, 0.0)),
    (Storage("PostgreSQL", 9000, 740.0, 2400.0), Storage("SQLite", 7000, 310.0, 0.0, 4300.0)),
    Memory(280_000_000, 6.0),
)


def test_sizing_runs_only_when_it_is_named() -> None:
    assert arguments(["--sizing"]).sizing
    assert not arguments([]).sizing


def test_every_cost_is_shown() -> None:
    pictures, request, charges, storage, memory = sizing_tables(FOUND)
    assert "22.0 |         50.0 |    292 |      85" in pictures
    assert ("12.0" in request, "3.00" in request) == (True, True)
    assert ("394" in charges, "1.90" in charges) == (True, True)
    assert ("740" in storage, "4300" in storage) == (True, True)
    assert ("280 MB" in memory, "6 MB" in memory) == (True, True)


def test_processor_time_is_that_of_work_and_not_of_waiting() -> None:
    before = processor_s(os.getpid())
    time.sleep(0.05)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert processor_s(os.getpid()) - before >= 0.08


def test_an_errand_that_fails_says_what_it_said() -> None:
    with pytest.raises(BenchmarkFailed, match="No such file"):
        answer("json.tool", "/no/such/job", os.environ)


def test_capacity_takes_rates() -> None:
    assert capacity_arguments(["5", "0.5"]).rates == [5.0, 0.5]


def test_capacity_takes_other_pictures() -> None:
    words = ["--matte-ms", "51", "--rest-ms", "0", "--bytes-in", "3400000", "--bytes-out", "1e6"]
    assert costs_of(capacity_arguments(words)) == Costs(0.051, 0.0, bytes_in=3.4e6, bytes_out=1e6)
    assert costs_of(capacity_arguments([])) == Costs()


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "1e999", "many"])
def test_capacity_refuses_what_is_no_number_with_a_sentence(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([f"--bytes-in={number}"], ["--", number]):
        with pytest.raises(SystemExit):
            capacity_arguments(words)
        assert f"{number!r} is not a number from 0 to" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        capacity_arguments(["0"])
