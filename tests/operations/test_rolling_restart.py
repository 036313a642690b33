"""Two servers on one PostgreSQL and one Redis, renewed one after the other while clients ask.

When the first one starts anew it is as if it were of a newer release: the tables have changed.
"""

import signal
from pathlib import Path

import psycopg
import pytest
from gate import gate
from mixed_load import assert_the_books_agree, mixed_load

from houses import House, house, new_postgresql
from services import Service

pytestmark = pytest.mark.wire

DRAIN_S = 60.0


def stop(server: Service) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(DRAIN_S) == 0, server.text()


def start_anew(home: House, old: Service) -> Service:
    return home.start(may_die=True, port=old.port)


def change_tables_as_a_newer_release(home: House) -> None:
    """Do what CONTRIBUTING.md lets a migration do, and note that it was done."""
    with psycopg.connect(home.database.url) as connection:
        for table in ("quota_ledgerentry", "quota_reservation", "quota_balance", "accounts_user"):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN newer integer DEFAULT 7".encode())
        connection.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('quota', '9999_x', now())"
        )


def test_no_request_is_lost_and_none_is_charged_twice(
    tmp_path: Path, postgresql: Service, redis: Service
) -> None:
    with house(tmp_path, new_postgresql(postgresql), redis) as home:
        key = home.member(100_000)
        servers = [home.start(may_die=True), home.start(may_die=True)]
        with gate(servers) as before:
            with mixed_load([before.service], key, clients=4) as load:
                load.wait_for(8)
                for number in (0, 1):
                    other, old = servers[1 - number], servers[number]
                    before.lead_to([other])
                    stop(old)
                    load.wait_for(4)
                    if number == 0:
                        change_tables_as_a_newer_release(home)
                    servers[number] = start_anew(home, old)
                    before.lead_to(servers)
                    load.wait_for(8)
                # Not taken out first: whoever finds nobody at its address is led to the other one.
                stop(servers[1])
                load.wait_for(8)
            assert not load.unexpected()
            assert_the_books_agree(home, before.service, load)
        stop(servers[0])
        assert not any("Traceback" in server.text() for server in servers)
