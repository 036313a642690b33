from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from visits import LANGUAGES, is_in, log_in, path_of, prove_again, text_of

from openrembg.server.accounts.models import User

pytestmark = pytest.mark.usefixtures("database", "quick_passwords")

URL = "/en/account/email/"
NEW = "lovelace@example.com"


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
    assert mail.to == NEW
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
