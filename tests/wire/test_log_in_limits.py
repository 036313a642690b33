"""Wrong passwords are counted once for all servers, whatever they count with."""

import pytest
import requests

from databases import PostgreSQL
from services import Service, StartServer

pytestmark = pytest.mark.wire

LOCKED = "Too many failed attempts to sign in"


def log_in(server: Service, address: str = "ada@example.com") -> requests.Response:
    """Give a wrong password, as a browser does."""
    with requests.Session() as browser:
        url = f"{server.url}/en/account/login/"
        token = browser.get(url, timeout=30).text.split('csrfmiddlewaretoken" value="')[1]
        form = {
            "csrfmiddlewaretoken": token.split('"')[0],
            "login": address,
            "password": "not my password at all",
        }
        return browser.post(url, form, timeout=60)


def count_together(one: Service, other: Service) -> None:
    for server in (one, other, one, other, one):
        assert LOCKED not in log_in(server).text
    assert LOCKED in log_in(other).text
    assert LOCKED not in log_in(other, "bob@example.com").text


def test_in_redis_and_without_it(start_server: StartServer, redis: Service) -> None:
    url = f"redis://127.0.0.1:{redis.port}/0"
    one, other = start_server(REDIS_URL=url), start_server(REDIS_URL=url)
    count_together(one, other)
    redis.process.kill()
    redis.process.wait()
    for _ in range(5):
        assert log_in(one).status_code == 200
    assert LOCKED in log_in(one).text, "each server counts for itself then"


def test_in_postgresql(start_server: StartServer, postgresql: Service) -> None:
    database = PostgreSQL(postgresql.port, "log_in_limits")
    database.create()
    one, other = start_server(DATABASE_URL=database.url), start_server(DATABASE_URL=database.url)
    count_together(one, other)
