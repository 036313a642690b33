import time
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.test import Client
from visits import LANGUAGES, is_in, log_in, prove_again, text_of, totp

pytestmark = pytest.mark.usefixtures("database", "quick_passwords")


def switch_on(client: Client) -> str:
    """Set up an authenticator app, and return its secret."""
    prove_again(client)
    page = client.get("/en/account/2fa/totp/activate/")
    secret = page.context["form"].secret
    client.post("/en/account/2fa/totp/activate/", {"code": totp(secret)})
    return str(secret)


def give_code(client: Client, code: str) -> Any:
    return client.post("/en/account/2fa/authenticate/", {"code": code})


@pytest.mark.parametrize("language", LANGUAGES)
def test_log_in_asks_for_the_app_s_code(
    client: Client, new_user: Any, read_mails: Any, language: str
) -> None:
    new_user(language=language)
    log_in(client)
    secret = switch_on(client)
    assert len(read_mails()) == 1, "the owner is told"
    visitor = Client()
    page = log_in(visitor, language=language)
    assert page.redirect_chain[-1][0] == f"/{language}/account/2fa/authenticate/"
    assert not is_in(visitor), "the password alone is not enough"
    give_code(visitor, "000000")
    assert not is_in(visitor)
    with time_machine.travel(time.time() + 60, tick=True):
        give_code(visitor, totp(secret))
        assert is_in(visitor)


def test_a_code_works_once(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    secret = switch_on(client)
    with time_machine.travel(time.time() + 60, tick=False):
        first, second = Client(), Client()
        for visitor in (first, second):
            log_in(visitor)
            give_code(visitor, totp(secret))
        assert is_in(first)
        assert not is_in(second)


def test_a_recovery_code_works_once(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    switch_on(client)
    page = client.get("/en/account/2fa/recovery-codes/")
    code = page.context["unused_codes"][0]
    assert code in text_of(page)
    first, second = Client(), Client()
    for visitor in (first, second):
        log_in(visitor)
        give_code(visitor, code)
    assert is_in(first)
    assert not is_in(second)


def test_recovery_codes_are_shown_once(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    switch_on(client)
    code = client.get("/en/account/2fa/recovery-codes/").context["unused_codes"][0]
    assert code not in text_of(client.get("/en/account/2fa/recovery-codes/", follow=True))


def test_the_recovery_codes_are_no_dead_end(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    switch_on(client)
    page = client.get("/en/account/2fa/recovery-codes/")
    assert '<a href="/en/account/2fa/">' in text_of(page)


def test_wrong_codes_are_limited(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    secret = switch_on(client)
    visitor = Client()
    log_in(visitor)
    for number in range(5):
        give_code(visitor, f"{number:06}")
    with time_machine.travel(time.time() + 60, tick=True):
        page = give_code(visitor, totp(secret))
        assert "Too many failed attempts to sign in" in text_of(page)
        assert not is_in(visitor)


def test_nothing_changes_without_the_password_once_more(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    page = client.get("/en/account/2fa/totp/activate/")
    assert page.headers["Location"].startswith("/en/account/reauthenticate/")
    switch_on(client)
    thief = Client(HTTP_USER_AGENT="thief")
    thief.cookies = client.cookies
    with time_machine.travel(time.time() + 600, tick=True):
        answer = thief.post("/en/account/2fa/totp/deactivate/")
        assert answer.headers["Location"].startswith("/en/account/reauthenticate/")
    assert Authenticator.objects.filter(type="totp").exists()


def test_it_can_be_switched_off(client: Client, new_user: Any, read_mails: Any) -> None:
    new_user()
    log_in(client)
    switch_on(client)
    client.post("/en/account/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    subjects = [mail.subject for mail in read_mails()]
    assert subjects == ["Two-factor authentication is on", "Two-factor authentication is off"]


def test_the_secrets_are_not_in_the_table_as_they_are(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    secret = switch_on(client)
    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in kept
    codes = client.get("/en/account/2fa/recovery-codes/").context["unused_codes"]
    assert not any(code in kept for code in codes)
