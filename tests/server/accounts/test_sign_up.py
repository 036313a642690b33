import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.db import connections
from django.test import Client
from pytest_django.fixtures import Settings as DjangoSettings
from visits import LANGUAGES, PASSWORD, is_in, log_in, path_of, sign_up, text_of

from openrembg.server.accounts.models import User
from services import free_port

pytestmark = pytest.mark.usefixtures("database")

SUBJECTS = {
    "en": "Confirm your e-mail address",
    "fa": "نشانی ایمیل خود را تأیید کنید",
    "id": "Konfirmasikan alamat email Anda",
    "ja": "メールアドレスの確認",
    "ko": "이메일 주소를 확인해 주세요",
}


def is_verified(address: str = "ada@example.com") -> bool:
    return EmailAddress.objects.filter(email=address, verified=True).exists()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_link_of_the_mail_opens_the_account(
    client: Client, read_mails: Any, language: str
) -> None:
    page = sign_up(client, language=language)
    assert page.redirect_chain[-1][0] == f"/{language}/account/confirm-email/"
    assert not is_in(client)
    [mail] = read_mails()
    assert (mail.to, mail.subject) == ("ada@example.com", SUBJECTS[language])
    assert mail.link in mail.lines, "the link is the whole line"
    assert mail.link.startswith(f"http://testserver/{language}/account/confirm-email/")

    asked = client.get(path_of(mail.link))
    assert f'lang="{language}"' in text_of(asked)
    assert not is_verified(), "a mail scanner that follows links confirms nothing"
    confirmed = client.post(path_of(mail.link), follow=True)
    assert confirmed.redirect_chain[-1][0] == f"/{language}/account/"
    assert is_verified()
    assert is_in(client), "this browser has given the password before"
    user = User.objects.get()
    assert (user.email, user.language) == ("ada@example.com", language)


def test_in_another_browser_the_link_confirms_and_opens_nothing(
    client: Client, read_mails: Any
) -> None:
    sign_up(client)
    elsewhere = Client()
    confirmed = elsewhere.post(path_of(read_mails()[0].link), follow=True)
    assert confirmed.redirect_chain[-1][0] == "/en/account/login/"
    assert is_verified()
    assert not is_in(elsewhere), "the link alone opens no account"
    assert not is_in(client), "nor does somebody else's click in the browser that signed up"
    log_in(client)
    assert is_in(client)


def test_after_a_quarter_of_an_hour_the_link_opens_nothing(client: Client, read_mails: Any) -> None:
    sign_up(client)
    with time_machine.travel(time.time() + 15 * 60 + 1, tick=True):
        confirmed = client.post(path_of(read_mails()[0].link), follow=True)
        assert confirmed.redirect_chain[-1][0] == "/en/account/login/"
        assert is_verified()
        assert not is_in(client)


def test_the_link_of_another_account_does_not_open_the_one_that_waits(
    client: Client, read_mails: Any
) -> None:
    sign_up(Client(), "eve@example.com")
    sign_up(client)
    eves = path_of(read_mails()[0].link)
    assert client.post(eves, follow=True).redirect_chain[-1][0] == "/en/account/login/"
    assert not is_in(client)
    assert not is_verified()


def test_an_account_that_was_shut_meanwhile_is_not_opened(client: Client, read_mails: Any) -> None:
    sign_up(client)
    User.objects.update(is_active=False)
    client.post(path_of(read_mails()[0].link))
    assert not is_in(client)


def test_a_second_factor_is_asked_for_all_the_same(client: Client, read_mails: Any) -> None:
    sign_up(client)
    TOTP.activate(User.objects.get(), generate_totp_secret())
    confirmed = client.post(path_of(read_mails()[0].link), follow=True)
    assert confirmed.redirect_chain[-1][0] == "/en/account/2fa/authenticate/"
    assert not is_in(client)


def test_whoever_chose_a_new_password_by_mail_has_ended_the_sign_up_that_waits(
    client: Client, read_mails: Any
) -> None:
    """A stranger signed up with Ada's address; their browser must not come in after her."""
    sign_up(client)
    confirm = path_of(read_mails()[0].link)
    ada = Client()
    ada.post("/en/account/password/reset/", {"email": "ada@example.com"})
    page = ada.get(path_of(read_mails()[1].link), follow=True)
    ada.post(page.redirect_chain[-1][0], {"password1": "new words", "password2": "new words"})
    assert is_verified()
    assert client.post(confirm).status_code == 404
    assert not is_in(client)


def test_signing_up_leads_on_to_where_one_wanted_to_go(client: Client, read_mails: Any) -> None:
    form = {"email": "ada@example.com", "password1": PASSWORD, "next": "/en/account/billing/"}
    client.post("/en/account/signup/", form)
    confirmed = client.post(path_of(read_mails()[0].link))
    assert confirmed.headers["Location"] == "/en/account/billing/"


def test_a_wrong_link_confirms_nothing(client: Client, read_mails: Any) -> None:
    sign_up(client)
    path = path_of(read_mails()[0].link)
    wrong = re.sub(r".(?=/$)", lambda last: "A" if last[0] != "A" else "B", path)
    page = client.get(wrong)
    assert "This link does not work" in text_of(page)
    assert client.post(wrong).status_code == 404
    assert not is_verified()


def test_an_old_link_confirms_nothing(client: Client, read_mails: Any) -> None:
    sign_up(client)
    path = path_of(read_mails()[0].link)
    with time_machine.travel("2036-01-01"):
        assert "This link does not work" in text_of(client.get(path))
        assert client.post(path).status_code == 404
    assert not is_verified()


def test_a_link_may_be_followed_twice(client: Client, read_mails: Any) -> None:
    sign_up(client)
    path = path_of(read_mails()[0].link)
    client.post(path)
    again = client.get(path)
    assert again.status_code == 200
    assert "This link does not work" in text_of(again)
    assert is_verified()


def test_nobody_logs_in_before_the_address_is_confirmed(client: Client, read_mails: Any) -> None:
    sign_up(client)
    visitor = Client()
    with time_machine.travel(time.time() + 300, tick=True):
        page = log_in(visitor)
    assert page.redirect_chain[-1][0] == "/en/account/confirm-email/"
    assert not is_in(visitor)
    assert [mail.subject for mail in read_mails()] == [SUBJECTS["en"]] * 2, "it is sent again"


def test_an_address_that_has_an_account_gets_the_same_page_and_another_mail(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    new_user("ada@example.com", language="fa")
    known = sign_up(client, "ADA@example.com", password="another word of mine")
    unknown = sign_up(Client(), "bob@example.com")
    assert known.redirect_chain == unknown.redirect_chain
    without_address = [
        re.sub(r'(ada|bob)@example\.com|value="[^"]*"', "", text_of(page)).lower()
        for page in (known, unknown)
    ]
    assert without_address[0] == without_address[1]
    exists, _ = read_mails()
    assert exists.subject == "شما از پیش حساب دارید", "in the owner's language, not the stranger's"
    assert exists.link in exists.lines
    assert path_of(exists.link) == "/fa/account/password/reset/"
    assert User.objects.get(email="ada@example.com").check_password(PASSWORD)


def test_of_two_who_sign_up_at_once_with_one_address_one_has_an_account(
    read_mails: Any,
) -> None:
    def visit(_: int) -> int:
        try:
            return int(sign_up(Client(raise_request_exception=False)).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(visit, range(4))) == {200}
    assert User.objects.count() == 1


def test_a_closed_server_says_so(client: Client, furnish: Any, read_mails: Any) -> None:
    furnish(sign_up="closed")
    for page in (client.get("/en/account/signup/"), sign_up(client)):
        assert page.status_code == 200
        assert "Signing up is closed" in text_of(page)
    assert not User.objects.exists()
    assert "signup" not in text_of(client.get("/en/account/login/"))
    client.post("/en/account/password/reset/", {"email": "bob@example.com"})
    assert "signup" not in read_mails()[0].text


@pytest.mark.parametrize("password", ["short", "12345678901", "password123", "ada@example.com"])
def test_a_weak_password_is_refused(client: Client, password: str) -> None:
    page = sign_up(client, password=password)
    assert "errorlist" in text_of(page)
    assert not User.objects.exists()


@pytest.mark.parametrize(
    "address", ["", "ada", "ada@", "a@b", f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 40}"]
)
def test_an_address_that_is_none_is_refused(client: Client, address: str) -> None:
    page = sign_up(client, address)
    assert page.status_code == 200
    assert "errorlist" in text_of(page)
    assert not User.objects.exists()


def test_an_address_with_a_quote_is_not_escaped_in_the_mail(
    client: Client, read_mails: Any
) -> None:
    sign_up(client, "o'neil+x@example.com")
    assert "o'neil+x@example.com" in read_mails()[0].text


def test_a_mail_server_that_is_down_costs_nobody_the_account(
    client: Client, settings: DjangoSettings, read_mails: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    page = sign_up(client)
    assert page.status_code == 200
    assert "The mail could not be sent" in text_of(page)
    assert "confirm the address goes to" not in text_of(page)
    assert User.objects.count() == 1

    settings.EMAIL_BACKEND = "openrembg.server.accounts.outbox.Outbox"
    log_in(client)
    client.post(path_of(read_mails()[0].link))
    assert is_verified()


def test_links_begin_with_the_public_address(client: Client, furnish: Any, read_mails: Any) -> None:
    furnish(public_url="https://cut.example/base")
    sign_up(client)
    assert read_mails()[0].link.startswith("https://cut.example/base/en/account/confirm-email/")


@pytest.mark.parametrize(
    ("host", "begins"),
    [
        ("evil.example", "http://127.0.0.1:8000/"),
        ("8.8.8.8", "http://127.0.0.1:8000/"),
        ("localhost:8080", "http://localhost:8080/"),
        ("127.0.0.1:9", "http://127.0.0.1:9/"),
        ("192.168.7.7:8000", "http://127.0.0.1:8000/"),
        ("10.0.0.1", "http://127.0.0.1:8000/"),
        ("[fe80::1]:8000", "http://127.0.0.1:8000/"),
        ("[2001::1]:8000", "http://127.0.0.1:8000/"),
        ("[::1]:8000", "http://[::1]:8000/"),
    ],
)
def test_a_stranger_does_not_choose_where_links_lead(
    client: Client, new_user: Any, read_mails: Any, host: str, begins: str
) -> None:
    new_user()
    form = {"email": "ada@example.com"}
    client.post("/en/account/password/reset/", form, headers={"host": host})
    [mail] = read_mails()
    assert mail.link.startswith(begins)
    assert "evil" not in mail.text


def test_links_begin_with_a_host_that_is_listed(
    client: Client, settings: DjangoSettings, read_mails: Any
) -> None:
    settings.ALLOWED_HOSTS = ["*", "192.168.7.7", ".cut.example"]
    sign_up(client, headers={"host": "192.168.7.7:8000"})
    sign_up(client, "bob@example.com", headers={"host": "en.cut.example"})
    starts = [mail.link.partition("/en/")[0] for mail in read_mails()]
    assert starts == ["http://192.168.7.7:8000", "http://en.cut.example"]


def test_an_ipv6_address_of_the_server_stands_in_brackets(
    client: Client, furnish: Any, read_mails: Any
) -> None:
    furnish(host="2001:db8::7")
    sign_up(client, headers={"host": "evil.example"})
    assert read_mails()[0].link.startswith("http://[2001:db8::7]:8000/en/")
