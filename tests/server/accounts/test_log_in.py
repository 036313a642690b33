import re
import time
from ipaddress import ip_network
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client
from pytest_django.fixtures import Settings as DjangoSettings
from visits import LANGUAGES, PASSWORD, is_in, log_in, text_of

from openrembg.server.accounts.models import User

pytestmark = pytest.mark.usefixtures("database", "quick_passwords")

WRONG = "not my password at all"
LOCKED = "Too many failed attempts to sign in"


def without_tokens(page: Any) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"|value="[^"]*"', "", text_of(page))


def test_the_address_logs_in_in_any_case(client: Client, new_user: Any) -> None:
    new_user("ada@example.com")
    log_in(client, "Ada@Example.COM")
    assert is_in(client)


def test_an_unknown_address_and_a_wrong_password_are_told_alike(
    client: Client, new_user: Any
) -> None:
    new_user("ada@example.com")
    wrong, unknown = log_in(client, password=WRONG), log_in(client, "bob@example.com")
    assert without_tokens(wrong) == without_tokens(unknown)
    assert "is not right" in text_of(wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_many_wrong_passwords_lock_the_account_for_that_client(
    client: Client, new_user: Any, language: str
) -> None:
    new_user("ada@example.com")
    new_user("bob@example.com")
    for _ in range(5):
        log_in(client, password=WRONG, language=language)
    locked = log_in(client, language=language)
    assert "errorlist" in text_of(locked)
    assert not is_in(client), "even with the right password"
    if language == "en":
        assert LOCKED in text_of(locked)

    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    log_in(elsewhere)
    assert is_in(elsewhere), "the owner is not shut out by somebody else's guesses"
    other = Client()
    log_in(other, "bob@example.com")
    assert is_in(other), "nor is another account"

    with time_machine.travel(time.time() + 301, tick=True):
        log_in(client)
        assert is_in(client), "the lock ends by itself"


def test_another_host_header_does_not_start_the_count_anew(client: Client, new_user: Any) -> None:
    new_user("ada@example.com")
    for number in range(5):
        log_in(client, password=WRONG, headers={"host": f"h{number}.example"})
    assert LOCKED in text_of(log_in(client, headers={"host": "h9.example"}))


def test_guesses_that_are_spread_over_many_clients_end_too(
    new_user: Any, settings: DjangoSettings
) -> None:
    assert settings.ACCOUNT_RATE_LIMITS["login_failed_anywhere"] == "50/h/key"
    settings.ACCOUNT_RATE_LIMITS = {"login_failed_anywhere": "8/h/key"}
    new_user("ada@example.com")
    for number in range(8):
        log_in(Client(REMOTE_ADDR=f"198.51.100.{number}"), password=WRONG)
    assert LOCKED in text_of(log_in(Client(REMOTE_ADDR="203.0.113.1")))


def test_log_ins_that_succeed_count_for_nothing(client: Client, new_user: Any) -> None:
    new_user("ada@example.com")
    for _ in range(8):
        visitor = Client()
        log_in(visitor)
        assert is_in(visitor)


def test_the_client_behind_a_trusted_proxy_is_the_one_that_is_locked(
    new_user: Any, furnish: Any, settings: DjangoSettings
) -> None:

    furnish(trusted_proxies=(ip_network("127.0.0.0/8"),))
    new_user("ada@example.com")

    def by_way_of_the_proxy(address: str, password: str) -> str:
        headers = {"x-forwarded-for": address}
        return text_of(log_in(Client(), password=password, headers=headers))

    for _ in range(5):
        by_way_of_the_proxy("198.51.100.7", WRONG)
    assert LOCKED in by_way_of_the_proxy("198.51.100.7", PASSWORD)
    assert LOCKED not in by_way_of_the_proxy("198.51.100.8", PASSWORD)


def test_a_flood_of_forms_is_429_with_a_page(client: Client) -> None:
    for number in range(31):
        page = log_in(client, f"user{number}@example.com", language="fa")
    assert page.status_code == 429
    assert "تلاش‌های بیش از اندازه" in text_of(page)


def test_an_inactive_account_stays_shut(client: Client, new_user: Any) -> None:
    new_user(is_active=False)
    log_in(client)
    assert not is_in(client)


def test_a_user_whom_an_operator_made_is_asked_to_confirm(
    client: Client, database: Any, read_mails: Any
) -> None:
    User.objects.create_user("ada@example.com", PASSWORD)
    log_in(client)
    assert not is_in(client)
    [mail] = read_mails()
    assert "/confirm-email/" in mail.link
    assert EmailAddress.objects.filter(email="ada@example.com", verified=False).exists()


def test_log_in_leads_back_to_where_one_came_from(client: Client, new_user: Any) -> None:
    new_user()
    page = client.get("/fa/account/export/", follow=True)
    assert page.redirect_chain[-1][0] == "/fa/account/login/?next=/fa/account/export/"
    form = {"login": "ada@example.com", "password": PASSWORD, "next": "/fa/account/export/"}
    assert client.post("/fa/account/login/", form).headers["Location"] == "/fa/account/export/"


@pytest.mark.parametrize(
    "place", ["https://evil.example/", "//evil.example", "javascript:alert(1)", r"/\evil.example"]
)
def test_log_in_leads_to_no_other_site(client: Client, new_user: Any, place: str) -> None:
    new_user()
    form = {"login": "ada@example.com", "password": PASSWORD, "next": place}
    assert client.post("/en/account/login/", form).headers["Location"] == "/en/account/"


@pytest.mark.parametrize("place", ["http://[::1", "http://[", "//[x]/", "http://ada:b@[::1"])
def test_a_place_that_is_no_address_is_left_out(client: Client, new_user: Any, place: str) -> None:
    pages = ("login/", "signup/", "logout/", "password/reset/", "confirm-email/x/")
    for path in (*(f"/en/account/{page}" for page in pages), "/admin/login/"):
        assert client.get(path, {"next": place}).status_code in (200, 302), path
    new_user()
    form = {"login": "ada@example.com", "password": PASSWORD, "next": place}
    assert client.post("/en/account/login/", form).headers["Location"] == "/en/account/"


def test_log_out_needs_a_click(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    client.get("/en/account/logout/")
    assert is_in(client)
    client.post("/en/account/logout/")
    assert not is_in(client)


def test_a_form_from_elsewhere_is_refused_with_a_page(new_user: Any) -> None:
    new_user()
    strict = Client(enforce_csrf_checks=True)
    page = log_in(strict, language="ja")
    assert page.status_code == 403
    assert "フォームの有効期限が切れています" in text_of(page)
