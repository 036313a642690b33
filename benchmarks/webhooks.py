"""How long POST /api/webhooks/stripe takes for customers who have been subscribed for years.

Each customer is a client of its own, and they send at the same time. `DATABASE_URL` and `REDIS_URL`
in the environment choose another house than SQLite alone.
"""

import http.client
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import goals
from benchmarks.errors import BenchmarkFailed
from benchmarks.load import HOST
from benchmarks.membership import Mode
from benchmarks.models import SHIPPED
from benchmarks.servers import our_admin, our_server
from benchmarks.stripe_events import DAY_S, Customer, signature
from benchmarks.table import table

PATH: Final = "/api/webhooks/stripe"
SECRET: Final = "whsec_of_the_benchmark"  # noqa: S105 (it signs what this file makes up)
CUSTOMERS: Final = 4
REQUEST_S: Final = 30.0

Events = Callable[[Customer], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Webhooks:
    """past: events of each customer that the inbox had before; modes: milliseconds of answers."""

    past: int
    modes: tuple[Mode, ...]


def measure_webhooks(past: int, requests: int) -> Webhooks:
    """Send `requests` events of each kind, after `past` periods of each customer."""
    each = max(1, requests // CUSTOMERS)
    # The periods are days, and the last of them is today's.
    first = int(time.time()) // DAY_S * DAY_S - (past + each) * DAY_S
    kinds: dict[str, Events] = {
        "a new period": lambda who: _periods(who, first, past, past + each),
        "the same period again": lambda who: _updates(who, first + (past + each) * DAY_S, each),
        "an event that was there": lambda who: _periods(who, first, past, past + each),
    }
    with tempfile.TemporaryDirectory() as folder:
        customers = _customers(Path(folder))
        redis_url = os.environ.get("REDIS_URL", "")
        with our_server(
            Path(folder), model=SHIPPED, redis_url=redis_url, STRIPE_WEBHOOK_SECRET=SECRET
        ) as server:
            _send(server.port, customers, lambda who: _history(who, first, past))
            modes = [
                Mode(name, tuple(_send(server.port, customers, events)))
                for name, events in kinds.items()
            ]
            _check(Path(folder), customers, first + (past + each) * DAY_S)
    return Webhooks(past, tuple(modes))


def webhooks_table(result: Webhooks) -> str:
    """Return the milliseconds of each kind of event, with the goal."""
    head = ("webhook", "p50 ms", "p99 ms", "slowest ms", "goal (p99)")
    rows = []
    for mode in result.modes:
        p50, p99 = mode.percentile(50), mode.percentile(99)
        goal = goals.at_most(p99, goals.WEBHOOK_P99_MS, "ms")
        rows.append((mode.name, f"{p50:.1f}", f"{p99:.1f}", f"{max(mode.milliseconds):.1f}", goal))
    return table(head, rows)


def _history(who: Customer, first: int, past: int) -> Iterator[bytes]:
    yield who.checkout(first)
    yield from _periods(who, first, 0, past)


def _periods(who: Customer, first: int, begin: int, end: int) -> Iterator[bytes]:
    """Yield an event for each of the days `begin` to `end`, with the day after it as its period."""
    for number in range(begin, end):
        start = first + (number + 1) * DAY_S
        yield who.subscription(number, start, start + DAY_S, at=start)


def _updates(who: Customer, start: int, count: int) -> Iterator[bytes]:
    for number in range(count):
        at = start + number + 1
        yield who.subscription(10**6 + number, start, start + DAY_S, at=at)


def _customers(data: Path) -> list[Customer]:
    run = time.time_ns()
    label, price = f"bench-{run}", f"price_{run}"
    our_admin(data, "plan", label, "--credits", "1000")
    our_admin(data, "set-price", label, price)
    found = []
    for number in range(CUSTOMERS):
        email = f"bench-{run}-{number}@example.com"
        our_admin(data, "create-user", email, "--verified")
        user = int(json.loads(our_admin(data, "usage", email, "--json"))["user"])
        found.append(Customer(f"{run}_{number}", user, price))
    return found


def _send(port: int, customers: list[Customer], events: Events) -> list[float]:
    """Let each customer's events be sent one after the other; return all milliseconds."""

    def sent(who: Customer) -> list[float]:
        connection = http.client.HTTPConnection(HOST, port, timeout=REQUEST_S)
        try:
            return [_post(connection, body) for body in events(who)]
        finally:
            connection.close()

    with ThreadPoolExecutor(len(customers)) as clients:
        return [one for times in clients.map(sent, customers) for one in times]


def _post(connection: http.client.HTTPConnection, body: bytes) -> float:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(body, SECRET),
    }
    began = time.perf_counter()
    connection.request("POST", PATH, body, headers)
    response = connection.getresponse()
    words = response.read()
    if response.status != 200:
        raise BenchmarkFailed(f"an event was answered with {response.status}: {words[:200]!r}")
    return (time.perf_counter() - began) * 1000


def _check(data: Path, customers: list[Customer], start: int) -> None:
    """Look whether the last period is on. Raises BenchmarkFailed when it is not."""
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start))
    for who in customers:
        email = f"bench-{who.name.replace('_', '-')}@example.com"
        period = json.loads(our_admin(data, "usage", email, "--json"))["billing_period"]
        if period is None or period["start"] != day:
            raise BenchmarkFailed(f"after all events the period is {period}, not from {day} on")
