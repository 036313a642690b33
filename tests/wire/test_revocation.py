"""What ends in one server has ended in every other: two real servers on one database."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from allauth.account.models import EmailAddress
from pytest_django import DjangoDbBlocker

from databases import PostgreSQL, Sqlite, TestDatabase, connected_to
from openrembg.server.accounts.models import User
from services import Service, StartServer

pytestmark = pytest.mark.wire

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple"
KEYS = "/en/account/keys"
TOKEN = "/api/user-token"
WAIT_S = 60


@dataclass(frozen=True, slots=True)
class Browser:
    """Somebody at a server's pages, who sends forms as they are."""

    server: Service
    session: requests.Session = field(default_factory=requests.Session)

    def hidden_fields(self, page: str) -> dict[str, str]:
        """Return what the form of a page holds beforehand."""
        text = self.session.get(self.server.url + page, timeout=WAIT_S).text
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))

    def send(self, page: str, **fields: str) -> str:
        """Fill in the form of a page and return the page that comes of it."""
        form = {**self.hidden_fields(page), **fields}
        answer = self.session.post(self.server.url + page, form, timeout=WAIT_S)
        assert answer.status_code == 200, answer.text
        return answer.text

    def log_in(self) -> None:
        """Log in with the password."""
        self.send("/en/account/login/", login=EMAIL, password=PASSWORD)

    def user_token(self) -> str:
        """Return a fresh user token, as the web editor gets it."""
        headers = {"X-CSRFToken": self.hidden_fields(KEYS)["csrfmiddlewaretoken"]}
        answer = self.session.post(self.server.url + TOKEN, headers=headers, timeout=WAIT_S)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["token"])


def key_on(page: str) -> str:
    """Return the key that a page shows."""
    (key,) = set(re.findall(r"orbk_\w{38}", page))
    return str(key)


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[TestDatabase]:
    """A database with one user in it."""
    kind: TestDatabase
    if request.param == "sqlite":
        kind = Sqlite(tmp_path / "shared" / "openrembg.db")
        kind.file.parent.mkdir()
    else:
        kind = PostgreSQL(request.getfixturevalue("postgresql").port, "revocation")
    with django_db_blocker.unblock(), connected_to(kind):
        user = User.objects.create_user(EMAIL, PASSWORD)
        EmailAddress.objects.create(user=user, email=EMAIL, verified=True, primary=True)
        yield kind


@pytest.fixture
def servers(
    shared: TestDatabase, start_server: StartServer, tmp_path: Path
) -> tuple[Service, Service]:
    """Two servers that know each other through the database alone."""
    environment = {"DATABASE_URL": shared.url, "SECRET_KEY": "the same in both"}
    if isinstance(shared, Sqlite):
        environment["OPENREMBG_DATA_DIR"] = str(tmp_path / "shared")
    return start_server(**environment), start_server(**environment)


def statuses(servers: tuple[Service, Service], **headers: str) -> list[tuple[int, str]]:
    """Return what each server says to a request without a photo: 400, or 401 at the door."""
    answers = []
    for server in servers:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = requests.post(f"{server.url}/rmbg", headers=named, timeout=WAIT_S)
        answers.append((answer.status_code, answer.json()["code"]))
    return answers


LET_IN = [(400, "invalid_request")] * 2
NO_KEY = [(401, "invalid_api_key")] * 2
NO_TOKEN = [(401, "invalid_user_token")] * 2


def test_what_ends_in_one_server_is_dead_in_both(servers: tuple[Service, Service]) -> None:
    browser = Browser(servers[0])
    browser.log_in()

    first = key_on(browser.send(KEYS, name="printer"))
    assert statuses(servers, x_api_key=first) == LET_IN
    (number,) = set(re.findall(r"/keys/(\d+)/", browser.session.get(servers[0].url + KEYS).text))
    second = key_on(browser.send(f"{KEYS}/{number}/rotate", overlap="0"))
    assert statuses(servers, x_api_key=first) == NO_KEY
    assert statuses(servers, x_api_key=second) == LET_IN
    browser.send(f"{KEYS}/{number}/revoke")
    assert statuses(servers, x_api_key=second) == NO_KEY

    bearer = f"Bearer {browser.user_token()}"
    assert statuses(servers, Authorization=bearer) == LET_IN
    ended = requests.delete(
        servers[1].url + TOKEN, headers={"Authorization": bearer}, timeout=WAIT_S
    )
    assert ended.status_code == 204
    assert statuses(servers, Authorization=bearer) == NO_TOKEN

    bearer = f"Bearer {browser.user_token()}"
    assert statuses(servers, Authorization=bearer) == LET_IN
    browser.session.post(
        f"{servers[0].url}/en/account/tokens/revoke", browser.hidden_fields(KEYS), timeout=WAIT_S
    )
    assert statuses(servers, Authorization=bearer) == NO_TOKEN

    elsewhere = Browser(servers[1])
    elsewhere.log_in()
    stays, bearer = f"Bearer {elsewhere.user_token()}", f"Bearer {browser.user_token()}"
    browser.send("/en/account/logout/")
    assert statuses(servers, Authorization=bearer) == NO_TOKEN
    assert statuses(servers, Authorization=stays) == LET_IN
