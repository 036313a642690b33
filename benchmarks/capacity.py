"""`python -m benchmarks.capacity RATE…`: what so many pictures a second need, as a table.

Every number is a rate times a cost that `./run bench --sizing` measured on two cores of an AMD
EPYC, and `--ray` for `ray_s`; `Costs` has them. Nothing here was run at more than some 30 pictures
a second: a larger number is a multiple, which knows nothing of what only a crowd runs into.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.table import table

RATES: Final = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
# A machine that is busier than this makes its clients wait.
BUSY: Final = 0.6
DAY_S: Final = 86_400.0
_MOST: Final = 1e12


@dataclass(frozen=True, slots=True)
class Costs:
    """What one picture of a megapixel costs, paid with an API key, on PostgreSQL and Redis.

    Seconds of a processor, bytes, counts. matte_s: what a replica of Ray computes; rest_s: what
    stays with the web process, request_s: what it does beside the picture, ray_s: what a call of a
    replica costs beyond the matte, on both sides. account_rate: charges a second of one account.
    """

    matte_s: float = 0.022
    rest_s: float = 0.05
    request_s: float = 0.012
    ray_s: float = 0.012
    bytes_in: float = 292_000
    bytes_out: float = 85_000
    postgresql_s: float = 0.003
    transactions: float = 8
    wal_bytes: float = 2400
    row_bytes: float = 740
    redis_s: float = 0.0005
    redis_commands: float = 15
    account_rate: float = 120


@dataclass(frozen=True, slots=True)
class Parts:
    """What the parts are made of; a cell is a PostgreSQL, a Redis and the web hosts before them.

    pool: connections that a web host opens to PostgreSQL. link_bits: of a host's network.
    """

    web_cores: int = 16
    postgresql_cores: int = 16
    pool: int = 24
    link_bits: float = 10e9


@dataclass(frozen=True, slots=True)
class Need:
    """What a rate needs, in pictures a second."""

    rate: float
    costs: Costs
    parts: Parts

    @property
    def web_cores(self) -> float:
        """Cores of the hosts that take requests, with a Ray behind them."""
        return self.rate * (self.costs.rest_s + self.costs.request_s + self.costs.ray_s) / BUSY

    @property
    def web_hosts(self) -> int:
        """Hosts that take requests, with a Ray behind them."""
        by_cores = math.ceil(self.web_cores / self.parts.web_cores)
        return max(1, by_cores, math.ceil(self.link_share / BUSY))

    @property
    def replicas(self) -> int:
        """Replicas of Ray, of one core each."""
        return max(1, math.ceil(self.rate * self.costs.matte_s / BUSY))

    @property
    def link_share(self) -> float:
        """Of one host's network, outwards: answers to clients, and uploads on to replicas."""
        outwards = self.costs.bytes_in + self.costs.bytes_out
        return self.rate * outwards * 8 / self.parts.link_bits

    @property
    def postgresql_share(self) -> float:
        """Of one primary's cores."""
        return self.rate * self.costs.postgresql_s / self.parts.postgresql_cores

    @property
    def redis_share(self) -> float:
        """Of the one core that a Redis has."""
        return self.rate * self.costs.redis_s

    @property
    def cells(self) -> int:
        """How often PostgreSQL and Redis are needed, each for a part of the accounts."""
        return max(1, math.ceil(max(self.postgresql_share, self.redis_share) / BUSY))


# What is shown, the formula in words, and the formula.
Row = tuple[str, str, Callable[[Need], str]]
ROWS: Final[tuple[Row, ...]] = (
    (
        "cores, all on web hosts",
        "rate × (matte + rest + request) ÷ busy",
        lambda n: _whole(n.rate * (n.costs.matte_s + n.costs.rest_s + n.costs.request_s) / BUSY),
    ),
    (
        "or with Ray: web cores",
        "rate × (rest + request + call) ÷ busy",
        lambda n: _whole(n.web_cores),
    ),
    ("… replicas of one core", "rate × matte ÷ busy", lambda n: f"{n.replicas:,}"),
    ("… web hosts", "by cores, and by the network outwards", lambda n: str(n.web_hosts)),
    ("uploads, Gbit/s", "rate × bytes in", lambda n: _number(_gigabits(n, n.costs.bytes_in))),
    ("answers, Gbit/s", "rate × bytes out", lambda n: _number(_gigabits(n, n.costs.bytes_out))),
    (
        "web hosts to replicas, Gbit/s",
        "rate × bytes in",
        lambda n: _number(_gigabits(n, n.costs.bytes_in)),
    ),
    (
        "PostgreSQL, cores",
        "rate × its seconds ÷ busy",
        lambda n: _number(n.rate * n.costs.postgresql_s / BUSY),
    ),
    (
        "PostgreSQL, transactions/s",
        "rate × transactions",
        lambda n: _whole(n.rate * n.costs.transactions),
    ),
    (
        "PostgreSQL, log MB/s",
        "rate × bytes of log",
        lambda n: _number(n.rate * n.costs.wal_bytes / 1e6),
    ),
    ("PostgreSQL, connections", "web hosts × pool", lambda n: f"{n.web_hosts * n.parts.pool:,}"),
    (
        "PostgreSQL, GB a day",
        "rate × bytes of rows × a day",
        lambda n: _number(n.rate * n.costs.row_bytes * DAY_S / 1e9),
    ),
    (
        "Redis, commands/s",
        "rate × commands",
        lambda n: _whole(n.rate * n.costs.redis_commands),
    ),
    ("Redis, share of its core", "rate × its seconds", lambda n: f"{n.redis_share:.0%}"),
    (
        "accounts, at least",
        "rate ÷ charges/s of one account",
        lambda n: str(math.ceil(n.rate / n.costs.account_rate)),
    ),
    ("cells", "the larger share of both ÷ busy", lambda n: str(n.cells)),
)


def capacity_table(rates: Sequence[float], costs: Costs, parts: Parts) -> str:
    """Return what each rate needs, a column for each."""
    needs = [Need(rate, costs, parts) for rate in rates]
    head = ("pictures a second", "formula", *(f"{rate:,g}" for rate in rates))
    rows = [(name, formula, *(told(need) for need in needs)) for name, formula, told in ROWS]
    return table(head, rows)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("rates", nargs="*", type=_rate, metavar="RATE", help="pictures a second")
    parser.add_argument("--matte-ms", type=_cost, help="what a matte costs a core")
    parser.add_argument("--rest-ms", type=_cost, help="what the rest of the picture costs a core")
    parser.add_argument("--bytes-in", type=_cost, help="of an upload")
    parser.add_argument("--bytes-out", type=_cost, help="of an answer")
    return parser.parse_args(words)


def costs_of(chosen: argparse.Namespace) -> Costs:
    """Return what was measured, with what the command line says instead."""
    said = {
        "matte_s": None if chosen.matte_ms is None else chosen.matte_ms / 1e3,
        "rest_s": None if chosen.rest_ms is None else chosen.rest_ms / 1e3,
        "bytes_in": chosen.bytes_in,
        "bytes_out": chosen.bytes_out,
    }
    return replace(Costs(), **{name: value for name, value in said.items() if value is not None})


def main() -> int:
    """Print the table, and what it was made from."""
    chosen = arguments(sys.argv[1:])
    costs = costs_of(chosen)
    print(f"{costs}\n{Parts()}\nbusy at most: {BUSY:.0%}\n")
    print(capacity_table(chosen.rates or RATES, costs, Parts()))
    return 0


def _cost(text: str) -> float:
    """Read a number of 0 to a million million. Raises ArgumentTypeError for any other."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_MOST:g}.")
    return number


def _rate(text: str) -> float:
    """Read a rate. Raises ArgumentTypeError for none."""
    number = _cost(text)
    if number == 0:
        raise argparse.ArgumentTypeError("without pictures nothing is needed.")
    return number


def _gigabits(need: Need, size: float) -> float:
    return need.rate * size * 8 / 1e9


def _whole(number: float) -> str:
    return f"{math.ceil(number):,}"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


if __name__ == "__main__":
    sys.exit(main())
