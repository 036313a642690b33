"""A house that takes Stripe's webhooks: a database, real servers, and events sent to them."""

import asyncio
import itertools
import json
import random
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from databases import PostgreSQL, Sqlite, TestDatabase
from fakes.stripe_events import Event, Stripe, Subscribed, signed
from services import HOST, Service, openrembg_admin, openrembg_server, put_tables

SECRET: Final = "whsec_of_the_wire"
WEBHOOK: Final = "/api/webhooks/stripe"
ANSWER_S: Final = 240.0

_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Member:
    """A user who is a customer of Stripe's."""

    id: int
    email: str
    key: str

    @property
    def customer(self) -> str:
        """The customer at Stripe."""
        return f"cus_{self.id}"

    def sub(self, start: int, end: int, **more: Any) -> Subscribed:
        """Return the member's subscription in a period."""
        return Subscribed(f"sub_{self.id}", self.customer, start, end, **more)

    def linked(self, stripe: Stripe, *, created: int, customer: str = "") -> Event:
        """Return the event that says whose the customer is."""
        return stripe.checkout_completed(
            f"cs_link_{self.id}",
            created=created,
            mode="subscription",
            customer=customer or self.customer,
            reference=str(self.id),
            subscription=f"sub_{self.id}",
        )


@dataclass(frozen=True, slots=True)
class StripeHouse:
    """A database, and how servers and operators reach it."""

    database: TestDatabase
    environment: dict[str, str]
    start: Callable[..., Service]

    def admin(self, *words: str) -> str:
        """Run an operator's command."""
        return openrembg_admin(self.environment, *words)

    def sell(self, label: str, credits_: int, price: str) -> None:
        """Make a plan without a short-term limit, and sell it for a price at Stripe."""
        self.admin("plan", label, "--credits", str(credits_), "--per-minute", "-1")
        self.admin("set-price", label, price)

    def member(self) -> Member:
        """Make a verified user on Free."""
        email = f"user{next(_serial)}@example.com"
        self.admin("create-user", email, "--verified")
        key = self.admin("create-key", email)
        ids = dict(self.rows("SELECT email, id FROM accounts_user"))
        return Member(int(ids[email]), email, key)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself, past our program."""
        if isinstance(self.database, Sqlite):
            with closing(sqlite3.connect(self.database.file)) as connection:
                return list(connection.execute(query))
        with psycopg.connect(self.database.url) as connection:
            return list(connection.execute(query.encode()))


@contextmanager
def stripe_house(folder: Path, postgresql: Service | None = None) -> Iterator[StripeHouse]:
    """Build a house on a database of its own: in a PostgreSQL, else on SQLite."""
    database: TestDatabase
    if postgresql is None:
        database = Sqlite(folder / "shared.db")
        put_tables(database.file)
    else:
        database = PostgreSQL(postgresql.port, f"stripe_{next(_serial)}_{random.getrandbits(32)}")
        database.create()
    environment = {
        "OPENREMBG_DATA_DIR": str(folder / "operator"),
        "DATABASE_URL": database.url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
    }
    with ExitStack() as stack:

        def start(**more: str) -> Service:
            own = folder / f"server-{next(_serial)}"
            settings = {**environment, "OPENREMBG_DATA_DIR": str(own), "OPENREMBG_THREADS": "1"}
            settings |= {"OPENREMBG_WORKERS": "1", "OPENREMBG_QUEUE": "300", **more}
            return stack.enter_context(openrembg_server(own, settings))

        yield StripeHouse(database, environment, start)


def tell(server: Service, event: Event) -> int:
    """Send an event as Stripe does now, and return the answer's status; 0 for none."""
    body, header = signed(event, SECRET, int(time.time()))
    request = urllib.request.Request(server.url + WEBHOOK, body)
    request.add_header("Content-Type", "application/json; charset=utf-8")
    request.add_header("Stripe-Signature", header)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)
    except OSError:
        return 0


def tell_at_once(servers: Sequence[Service], events: Sequence[Event]) -> list[int]:
    """Send all events at the same time, the servers taking turns; return the statuses."""
    requests = [_request(event) for event in events]
    ports = [server.port for server in servers]
    return asyncio.run(_ask_all(ports, requests))


def ask(server: Service, member: Member, query: str = "expand=billing_cycle") -> Any:
    """Ask GET /api/membership-usage."""
    request = urllib.request.Request(f"{server.url}/api/membership-usage?{query}")
    request.add_header("X-Api-Key", member.key)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def window(server: Service, member: Member) -> tuple[int, int, bool]:
    """Return where the present cycle begins and ends, and whether Stripe told it."""
    shown = ask(server, member)["billingCycle"]
    return shown["periodStartUnix"], shown["periodEndUnix"], shown["stripeBillingSynced"]


async def _ask_all(ports: Sequence[int], requests: Sequence[bytes]) -> list[int]:
    turns = itertools.islice(itertools.cycle(ports), len(requests))
    connections = await asyncio.gather(*(asyncio.open_connection(HOST, port) for port in turns))
    asked = (
        _ask(reader, writer, request)
        for (reader, writer), request in zip(connections, requests, strict=True)
    )
    return list(await asyncio.wait_for(asyncio.gather(*asked), ANSWER_S))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.read()
    finally:
        writer.close()
    return int(head.split()[1])


def _request(event: Event) -> bytes:
    body, header = signed(event, SECRET, int(time.time()))
    lines = {
        "Host": HOST,
        "Content-Type": "application/json; charset=utf-8",
        "Content-Length": str(len(body)),
        "Stripe-Signature": header,
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {WEBHOOK} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
