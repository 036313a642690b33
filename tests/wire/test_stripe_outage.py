"""A database that is away: Stripe is told to send the event again, and then it takes effect."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from stripe_house import StripeHouse, ask, stripe_house, tell

from databases import PostgreSQL
from fakes.stripe_events import Event, Stripe
from houses import wait_until
from services import HOST, Service, postgresql_server

pytestmark = pytest.mark.wire

EVENTS = 12
DEATHS = 3


@dataclass
class Restartable:
    """A PostgreSQL that the test stops and starts again with the data that it had."""

    first: Service
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def stop(self, how: signal.Signals) -> None:
        """Stop it: SIGINT ends connections in order, SIGQUIT as if it had died."""
        self.processes[-1].send_signal(how)
        self.processes[-1].wait(30)

    def start(self) -> None:
        """Start it again on the same port."""
        owner = "postgres" if os.getuid() == 0 else None
        command: list[str] = list(self.first.process.args)  # type: ignore[arg-type]
        with (self.first.log.parent / "again.txt").open("ab") as log:
            again = subprocess.Popen(
                command, cwd="/", user=owner, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes.append(again)
        wait_until(self._answers)

    def _answers(self) -> bool:
        where = f"host={HOST} port={self.first.port} user=postgres dbname=postgres"
        try:
            psycopg.connect(where).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def restartable(folder: Path) -> Iterator[Restartable]:
    with postgresql_server(folder) as first:
        held = Restartable(first, [first.process])
        try:
            yield held
        finally:
            for process in held.processes[1:]:
                process.kill()
                process.wait()


def bought(member_id: int, number: int) -> Event:
    """Return the event of a pack of 10."""
    facts = {"reference": str(member_id), "credits_": "10", "payment_intent": f"pi_{number}"}
    return Stripe().checkout_completed(f"cs_{number}", created=int(time.time()), **facts)


def test_postgresql_away_is_503_and_the_retry_takes_effect(tmp_path: Path) -> None:
    with (
        restartable(tmp_path / "postgresql") as postgresql,
        stripe_house(tmp_path / "house", postgresql.first) as house,
    ):
        server, ada = house.start(), house.member()
        event = bought(ada.id, 1)
        postgresql.stop(signal.SIGINT)
        assert tell(server, event) == 503
        postgresql.start()
        wait_until(lambda: tell(server, event) == 200)
        assert tell(server, event) == 200
        assert ask(server, ada)["prepaidCredits"] == 10
        house.admin("verify-ledger")


def test_events_while_postgresql_dies_again_and_again_take_effect_once(tmp_path: Path) -> None:
    with (
        restartable(tmp_path / "postgresql") as postgresql,
        stripe_house(tmp_path / "house", postgresql.first) as house,
    ):
        commits_last(house)
        server, ada = house.start(), house.member()
        seen: set[int] = set()
        taken: list[int] = []

        def deliver() -> None:
            """Send some events, each until it is taken, as Stripe does."""
            for number in range(EVENTS):
                event = bought(ada.id, number)
                while (status := tell(server, event)) != 200:
                    seen.add(status)
                    time.sleep(0.02)
                taken.append(number)
                time.sleep(0.05)

        sender = threading.Thread(target=deliver)
        sender.start()
        for death in range(DEATHS):
            wait_until(lambda death=death: len(taken) > 3 * death)  # type: ignore[misc]
            postgresql.stop(signal.SIGQUIT)
            time.sleep(0.2)
            postgresql.start()
        sender.join()
        assert seen <= {503}, "Nothing but the database failed, and nobody was told otherwise."
        assert ask(server, ada)["prepaidCredits"] == 10 * EVENTS
        house.admin("verify-ledger")
        house.admin("replay-stripe")
        assert ask(server, ada)["prepaidCredits"] == 10 * EVENTS


def commits_last(house: StripeHouse) -> None:
    """Let what is committed outlive the process; the tests' PostgreSQL does without."""
    assert isinstance(house.database, PostgreSQL)
    with psycopg.connect(house.database.url, autocommit=True) as connection:
        name = house.database.name
        connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = on'.encode())
