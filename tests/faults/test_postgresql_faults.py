"""PostgreSQL restarts, refuses, stands still: requests are told to come back, and the books agree.

One server stands all of it, one fault after the other, with its requests going on.
"""

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import psycopg
import pytest
from mixed_load import MixedLoad, load_through_a_fault
from restarts import Restarting, restarting

from databases import PostgreSQL
from houses import House, house, new_postgresql, wait_until
from services import HOST, Service, postgresql_server
from slow_line import SlowLine, slow_line

pytestmark = pytest.mark.wire

PICTURES = 6
FEW = "max_connections=30"
SETTINGS = {
    "OPENREMBG_DATABASE_CONNECTIONS": "6",
    # What could not be given back comes back soon, and so does an Idempotency-Key.
    "OPENREMBG_REQUEST_TIMEOUT_S": "5",
    "OPENREMBG_QUEUE_TIMEOUT_S": "5",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A house whose server reaches PostgreSQL over a line, and a user who asks for pictures."""

    home: House
    server: Service
    postgresql: Restarting
    line: SlowLine
    key: str

    @contextmanager
    def load(self) -> Iterator[MixedLoad]:
        """Let clients ask while the block runs; in the end all must be well again."""
        with load_through_a_fault(
            self.home, self.server, self.key, 503, pictures=PICTURES, think_s=0.4
        ) as load:
            yield load

    def operator(self, name: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """Open a connection past the line."""
        where = f"host={HOST} port={self.postgresql.service.port} user=postgres dbname={name}"
        return psycopg.connect(where, autocommit=True)

    @property
    def name(self) -> str:
        """The server's database."""
        assert isinstance(self.home.database, PostgreSQL)
        return self.home.database.name

    def end_connections(self, operator: "psycopg.Connection[tuple[object, ...]]") -> int:
        """Let PostgreSQL break off whatever the server has begun; return how many connections."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        return operator.execute(query, [self.name]).rowcount


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("postgresql-faults")
    with ExitStack() as stack:
        own = stack.enter_context(postgresql_server(folder / "postgresql"))
        postgresql = stack.enter_context(restarting(own))
        # As everybody has it who wants to keep what was committed when PostgreSQL dies; and few
        # connections, which others can take all of.
        postgresql.begin_with(
            {"synchronous_commit=off": "synchronous_commit=on", "max_connections=200": FEW}
        )
        line = stack.enter_context(slow_line(own.port))
        database = new_postgresql(dataclasses.replace(own, port=line.port))
        home = stack.enter_context(house(folder, database))
        server = home.start(**SETTINGS)
        yield Scene(home, server, postgresql, line, home.member(100_000))


def test_a_restart_is_a_pause(scene: Scene) -> None:
    with scene.load() as load:
        # Fast, immediate, and none at all: the last two have to recover from the log.
        for by in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            scene.postgresql.end(by)
            load.wait_for_refusal()
            scene.postgresql.begin()
            load.wait_for(PICTURES)


def test_connections_that_end_and_rows_that_can_only_be_read_are_a_pause(scene: Scene) -> None:
    with scene.load() as load, scene.operator() as operator:
        for _ in range(3):
            scene.end_connections(operator)
            load.wait_for(2)
        for read_only in ("on", "off"):
            words = f"ALTER SYSTEM SET default_transaction_read_only = {read_only}"
            operator.execute(words.encode())
            operator.execute("SELECT pg_reload_conf()")
            scene.end_connections(operator)
            if read_only == "on":
                load.wait_for_refusal()


def test_others_who_take_every_connection_leave_those_that_are_there(scene: Scene) -> None:
    def take_all() -> None:
        with suppress(psycopg.OperationalError):
            while True:
                others.enter_context(scene.operator())

    with scene.operator() as operator, ExitStack() as others, scene.load() as load:
        take_all()
        load.wait_for(PICTURES)
        # They take those of the server too, once it has lost them.
        while scene.end_connections(operator):
            take_all()
        load.wait_for_refusal()
        others.close()


def test_a_lock_that_somebody_holds_is_waited_for(scene: Scene) -> None:
    with scene.load() as load:
        with scene.operator(scene.name) as operator, operator.transaction():
            operator.execute("LOCK TABLE quota_balance IN ACCESS EXCLUSIVE MODE")
            load.wait_for_refusal()
        load.wait_for(PICTURES)


def test_a_line_that_stands_still_is_given_up(scene: Scene) -> None:
    with scene.load() as load:
        scene.line.stand_still()
        load.wait_for_refusal()
        wait_until(lambda: not is_well(scene))
        scene.line.flow()
        wait_until(lambda: is_well(scene))


def is_well(scene: Scene) -> bool:
    """Whether the last words in the log are that the database answers."""
    text = scene.server.text()
    return text.rfind("The database answers again") > text.rfind("The database does not answer; ")
