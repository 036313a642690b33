import time
from typing import Any

import pytest
import time_machine
from django.test import Client
from visits import LANGUAGES, PASSWORD, is_in, log_in, path_of, text_of

pytestmark = pytest.mark.usefixtures("database")

NEW = "a wholly different phrase"


def ask(client: Client, address: str = "ada@example.com", language: str = "en") -> Any:
    url = f"/{language}/account/password/reset/"
    return client.post(url, {"email": address}, follow=True)


def choose(client: Client, path: str, password: str = NEW) -> Any:
    """Follow the link of a mail and send its form."""
    form_page = client.get(path, follow=True)
    where = form_page.redirect_chain[-1][0] if form_page.redirect_chain else path
    return client.post(where, {"password1": password, "password2": password}, follow=True)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_link_of_the_mail_sets_a_new_password(
    client: Client, new_user: Any, read_mails: Any, language: str
) -> None:
    user = new_user(language=language)
    ask(client)
    [mail] = read_mails()
    assert mail.link in mail.lines
    assert path_of(mail.link).startswith(f"/{language}/account/password/reset/key/")
    choose(client, path_of(mail.link))
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert len(read_mails()) == 2, "the owner is told that the password was changed"
    assert all(f"/{language}/account/" in mail.link for mail in read_mails())


def test_an_unknown_address_gets_the_same_page_and_another_mail(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    new_user()
    known, unknown = ask(client), ask(client, "bob@example.com")
    assert text_of(known) == text_of(unknown)
    mail = read_mails()[1]
    assert mail.subject == "There is no account with this address"
    assert path_of(mail.link) == "/en/account/signup/"


def test_a_link_works_once(client: Client, new_user: Any, read_mails: Any) -> None:
    user = new_user()
    ask(client)
    path = path_of(read_mails()[0].link)
    choose(client, path)
    page = choose(Client(), path, "yet another phrase of mine")
    assert "This link does not work" in text_of(page)
    user.refresh_from_db()
    assert user.check_password(NEW)


def test_an_old_link_does_nothing(client: Client, new_user: Any, read_mails: Any) -> None:
    user = new_user()
    ask(client)
    with time_machine.travel(time.time() + 4 * 24 * 3600, tick=True):
        assert "This link does not work" in text_of(choose(client, path_of(read_mails()[0].link)))
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_a_link_with_another_user_s_number_does_nothing(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    new_user()
    bob = new_user("bob@example.com")
    ask(client)
    ask(client, "bob@example.com")
    mine, theirs = (path_of(mail.link) for mail in read_mails())
    forged = theirs.rsplit("/", 2)[0] + "/" + theirs.rsplit("/", 2)[1].split("-")[0]
    forged += "-" + mine.rsplit("/", 2)[1].split("-", 1)[1] + "/"
    assert "This link does not work" in text_of(choose(client, forged))
    bob.refresh_from_db()
    assert bob.check_password(PASSWORD)


def test_a_reset_ends_the_sessions_elsewhere(new_user: Any, read_mails: Any) -> None:
    new_user()
    thief = Client()
    log_in(thief)
    owner = Client()
    ask(owner)
    choose(owner, path_of(read_mails()[0].link))
    assert not is_in(thief)


def test_a_change_needs_the_old_password_and_ends_the_sessions_elsewhere(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    user = new_user()
    other = Client()
    log_in(other)
    log_in(client)
    form = {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
    page = client.post("/en/account/password/change/", form)
    assert "errorlist" in text_of(page)
    client.post("/en/account/password/change/", form | {"oldpassword": PASSWORD})
    user.refresh_from_db()
    assert user.check_password(NEW)
    assert is_in(client)
    assert not is_in(other)
    assert [mail.subject for mail in read_mails()] == ["Your password was changed"]


def test_wrong_old_passwords_count_as_failed_log_ins(client: Client, new_user: Any) -> None:
    user = new_user()
    log_in(client)
    form = {"password1": NEW, "password2": NEW}
    now = time.time()
    # The page itself takes five forms a minute.
    for second in (0, 1, 2, 70, 71):
        with time_machine.travel(now + second, tick=True):
            client.post("/en/account/password/change/", form | {"oldpassword": "wrong"})
    with time_machine.travel(now + 72, tick=True):
        page = client.post("/en/account/password/change/", form | {"oldpassword": PASSWORD})
        assert "Too many failed attempts to sign in" in text_of(page)
        visitor = Client()
        log_in(visitor)
        assert not is_in(visitor)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_a_user_whom_an_operator_made_without_a_password_sets_one(
    client: Client, new_user: Any, read_mails: Any
) -> None:
    user = new_user(verified=False)
    user.set_unusable_password()
    user.save()
    ask(client)
    choose(client, path_of(read_mails()[0].link))
    log_in(client, password=NEW)
    assert is_in(client), "the mailed link has confirmed the address too"
