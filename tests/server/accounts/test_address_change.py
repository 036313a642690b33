import time
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings as DjangoSettings
from visits import LANGUAGES, is_in, log_in, path_of, prove_again, sign_up, text_of

from openrembg.server.accounts.keys import create_key
from openrembg.server.accounts.models import User
from openrembg.server.quota import ledger
from services import free_port

pytestmark = pytest.mark.usefixtures("database", "quick_passwords")

URL = "/en/account/email/"
NEW = "lovelace@example.com"
SUBJECTS = {
    "en": "Confirm an account's change to this address",
    "fa": "تغییر نشانی یک حساب به این نشانی را تأیید کنید",
    "id": "Konfirmasikan perubahan alamat sebuah akun ke alamat ini",
    "ja": "アカウントのアドレスをこのアドレスに変更する確認",
    "ko": "계정의 주소를 이 주소로 변경하는 것을 확인해 주세요",
}


def addresses() -> dict[str, bool]:
    return dict(EmailAddress.objects.values_list("email", "verified"))


def change(client: Client, address: str = NEW) -> Any:
    return client.post(URL, {"email": address, "action_add": ""}, follow=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_old_address_stays_until_the_new_one_is_confirmed(
    client: Client, new_user: Any, read_mails: Any, language: str
) -> None:
    user: User = new_user(language=language)
    log_in(client)
    prove_again(client)
    page = change(client)
    assert NEW in text_of(page)
    assert addresses() == {"ada@example.com": True, NEW: False}
    user.refresh_from_db()
    assert user.email == "ada@example.com"
    [mail] = read_mails()
    assert (mail.to, mail.subject) == (NEW, SUBJECTS[language]), "not the mail of a sign-up"
    assert "ada@example.com" in mail.text, "it says whose account gets the address"
    assert mail.link in mail.lines
    assert path_of(mail.link).startswith(f"/{language}/")

    client.post(path_of(mail.link))
    assert addresses() == {NEW: True}
    user.refresh_from_db()
    assert user.email == NEW
    told = read_mails()[1]
    assert told.to == "ada@example.com", "the old address hears of it"
    assert NEW in told.text
    visitor = Client()
    log_in(visitor, NEW)
    assert is_in(visitor)


def test_a_change_needs_the_password_once_more(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    page = change(client)
    assert (
        page.redirect_chain[-1][0] == "/en/account/reauthenticate/?next=%2Fen%2Faccount%2Femail%2F"
    )
    assert addresses() == {"ada@example.com": True}


def test_a_change_can_be_cancelled(client: Client, new_user: Any, read_mails: Any) -> None:
    new_user()
    log_in(client)
    prove_again(client)
    change(client)
    client.post(URL, {"email": NEW, "action_remove": ""})
    assert addresses() == {"ada@example.com": True}
    client.post(path_of(read_mails()[0].link))
    assert addresses() == {"ada@example.com": True}


def test_another_user_s_address_is_not_taken(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    ada, bob = new_user(), new_user("bob@example.com")
    log_in(client)
    prove_again(client)
    change(client, "bob@example.com")
    for mail in read_mails():
        client.post(path_of(mail.link))
    assert EmailAddress.objects.get(verified=True, email="bob@example.com").user == bob
    assert EmailAddress.objects.get(primary=True, user=ada).email == "ada@example.com"
    ada.refresh_from_db()
    assert ada.email == "ada@example.com"


def test_another_user_s_pending_address_is_not_touched(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    new_user()
    bob = new_user("bob@example.com")
    EmailAddress.objects.create(user=bob, email=NEW, verified=False)
    log_in(client)
    prove_again(client)
    client.post(URL, {"email": NEW, "action_remove": ""})
    client.post(URL, {"email": NEW, "action_send": ""})
    assert NEW in addresses()
    assert read_mails() == []


def wants(client: Client, address: str = NEW) -> None:
    """Log in, and ask for another address."""
    log_in(client)
    prove_again(client)
    change(client, address)


def test_who_signed_up_with_the_address_and_never_confirmed_it_gives_way(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    ada = new_user()
    sign_up(Client(), NEW)
    wants(client)
    page = client.post(path_of(read_mails()[1].link), follow=True)
    assert page.status_code == 200
    assert list(User.objects.values_list("pk", "email")) == [(ada.pk, NEW)]
    assert addresses() == {NEW: True}
    assert [mail.to for mail in read_mails()] == [NEW, NEW, "ada@example.com"]


def become_staff(user: User) -> None:
    user.is_staff = True
    user.save()


def log_in_once(user: User) -> None:
    user.last_login = timezone.now()
    user.save()


def get_a_key(user: User) -> None:
    create_key(user, "ci")


def get_credits(user: User) -> None:
    ledger.top_up(user.pk, 5, note="a gift")


@pytest.mark.parametrize("become_more", [become_staff, log_in_once, get_a_key, get_credits])
def test_who_is_more_than_a_sign_up_stays_and_nothing_is_half_changed(
    client: Client, new_user: Any, read_mails: Any, become_more: Callable[[User], None]
) -> None:
    new_user()
    holder = new_user(NEW, verified=False)
    become_more(holder)
    wants(client)
    before = list(EmailAddress.objects.order_by("pk").values())
    page = client.post(path_of(read_mails()[0].link), follow=True)
    assert page.status_code == 200
    assert f"Unable to confirm {NEW}" in text_of(page)
    assert list(EmailAddress.objects.order_by("pk").values()) == before
    assert set(User.objects.values_list("email", flat=True)) == {"ada@example.com", NEW}
    assert len(read_mails()) == 1, "nobody is told of a change that was not made"


def test_an_address_that_was_confirmed_meanwhile_takes_nobody_s_account(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    new_user()
    wants(client)
    link = path_of(read_mails()[0].link)
    new_user(NEW, verified=False)
    bob = new_user("bob@example.com")
    EmailAddress.objects.create(user=bob, email=NEW, verified=True)
    client.post(link)
    assert User.objects.count() == 3


def test_an_address_that_another_account_only_wants_can_be_signed_up_with(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    thief = new_user("thief@example.com")
    robber = Client()
    log_in(robber, thief.email)
    prove_again(robber)
    change(robber, NEW)
    sign_up(client, NEW, password="a wholly different phrase")
    theirs, mine = read_mails()
    assert (theirs.to, mine.to) == (NEW, NEW)
    assert mine.subject == "Confirm your e-mail address", "it comes at once"
    client.post(path_of(mine.link))
    assert EmailAddress.objects.get(email=NEW).user.email == NEW, "the thief's wish is gone"
    assert robber.post(path_of(theirs.link)).status_code == 404
    log_in(client, NEW, "a wholly different phrase")
    assert is_in(client)
    assert EmailAddress.objects.get(email=NEW, primary=True).verified


def test_an_address_that_an_account_only_wants_resets_and_opens_nothing_of_it(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    new_user()
    wants(client)
    client.post("/en/account/password/reset/", {"email": NEW})
    assert read_mails()[1].subject == "There is no account with this address"
    visitor = Client()
    page = log_in(visitor, NEW)
    assert "is not right" in text_of(page)
    assert len(read_mails()) == 2


def test_a_mailed_password_ends_what_others_wanted_too(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    new_user()
    wants(client)
    sign_up(Client(), NEW)
    visitor = Client()
    visitor.post("/en/account/password/reset/", {"email": NEW})
    where = visitor.get(path_of(read_mails()[2].link)).headers["Location"]
    phrase = "yet another phrase of mine"
    visitor.post(where, {"password1": phrase, "password2": phrase})
    assert addresses() == {"ada@example.com": True, NEW: True}
    assert EmailAddress.objects.get(email=NEW).primary


@pytest.mark.parametrize("again", ["action_send", "action_add"])
def test_the_page_claims_no_mail_that_was_not_sent(
    client: Client, new_user: Any, read_mails: Any, again: str
) -> None:
    new_user()
    log_in(client)
    prove_again(client)
    assert f"confirm the address goes to {NEW}" in text_of(change(client))
    if again == "action_add":
        client.post(URL, {"email": NEW, "action_remove": ""})
    count = len(read_mails())
    page = client.post(URL, {"email": NEW, again: ""}, follow=True)
    assert "No mail was sent now" in text_of(page)
    assert "confirm the address goes to" not in text_of(page)
    assert len(read_mails()) == count

    with time_machine.travel(time.time() + 181, tick=True):
        page = client.post(URL, {"email": NEW, "action_send": ""}, follow=True)
        assert f"confirm the address goes to {NEW}" in text_of(page)
        client.post(path_of(read_mails()[-1].link))
    assert addresses() == {NEW: True}


def test_a_mail_that_could_not_be_sent_can_be_asked_for_at_once(
    client: Client, new_user: Any, settings: DjangoSettings, read_mails: Any
) -> None:
    new_user()
    log_in(client)
    prove_again(client)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", free_port()
    page = change(client)
    assert "The mail could not be sent" in text_of(page)
    assert "confirm the address goes to" not in text_of(page)
    settings.EMAIL_BACKEND = "openrembg.server.accounts.outbox.Outbox"
    client.post(URL, {"email": NEW, "action_send": ""})
    assert [mail.to for mail in read_mails()] == [NEW]
