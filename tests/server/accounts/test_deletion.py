from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from test_export import furnished
from visits import LANGUAGES, PASSWORD, is_in, log_in, text_of

from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.quota.models import Day, LedgerEntry, Window

pytestmark = pytest.mark.usefixtures("database", "quick_passwords")


def delete(client: Client, password: str = PASSWORD, language: str = "en") -> Any:
    return client.post(f"/{language}/account/delete/", {"password": password}, follow=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_goes_but_the_ledger_and_other_people(
    client: Client, new_user: Any, read_mails: Any, language: str
) -> None:
    ada, bob = new_user(language=language), new_user("bob@example.com")
    furnished(ada)
    furnished(bob)
    elsewhere = Client()
    log_in(elsewhere)
    log_in(client)
    page = delete(client, language=language)
    assert page.redirect_chain[-1][0] == f"/{language}/account/deleted/"
    assert not is_in(client)
    assert not is_in(elsewhere), "every session ends"
    assert list(User.objects.all()) == [bob]
    for model in (ApiKey, UserToken, Day, Window, EmailAddress):
        assert list(model._default_manager.values_list("user", flat=True)) == [bob.pk]
    assert {entry.user_id for entry in LedgerEntry.objects.all()} == {ada.pk, bob.pk}
    [mail] = read_mails()
    assert mail.to == "ada@example.com"


def test_the_page_says_what_goes_and_what_stays(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    text = text_of(client.get("/en/account/delete/"))
    assert "cannot be undone" in text
    assert "What remains" in text
    assert User.objects.count() == 1


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_deletes_nothing(client: Client, new_user: Any, password: str) -> None:
    new_user()
    log_in(client)
    assert "errorlist" in text_of(delete(client, password))
    assert User.objects.count() == 1
    assert is_in(client)


def test_guesses_are_limited(client: Client, new_user: Any) -> None:
    new_user()
    log_in(client)
    for _ in range(5):
        delete(client, "wrong")
    assert "Too many failed login attempts" in text_of(delete(client))
    assert User.objects.count() == 1


def test_another_user_s_password_deletes_nothing(client: Client, new_user: Any) -> None:
    new_user()
    bob = new_user("bob@example.com")
    bob.set_password("another phrase of bob")
    bob.save()
    log_in(client)
    delete(client, "another phrase of bob")
    assert User.objects.count() == 2


def test_nobody_deletes_without_logging_in(client: Client, new_user: Any) -> None:
    new_user()
    assert delete(client).redirect_chain[-1][0].startswith("/en/account/login/")
    assert User.objects.count() == 1


def test_the_address_is_free_again(client: Client, new_user: Any, read_mails: Any) -> None:
    new_user()
    log_in(client)
    delete(client)
    new_user()
    log_in(client)
    assert is_in(client)
