"""The editor's page: what it brings along, and what it says that a visitor has left."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone, translation
from rmbg_client import photo, send

from openrembg.server.quota import spending
from openrembg.server.quota.windows import Period, unix
from openrembg.server.web.editor_words import editor_words
from people import Person, person, subscribe

pytestmark = [
    pytest.mark.usefixtures("database"),
    # What the page says is the same on every database.
    pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True),
]

LANGUAGES = [code for code, _ in settings.LANGUAGES]
HELD = dt.timedelta(minutes=1)


def browser_of(somebody: Person) -> Client:
    client = Client()
    client.force_login(somebody.user)
    return client


def left(client: Client, language: str = "en") -> str:
    """Return the text of the part that says what is left."""
    response = client.get(f"/{language}/left")
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def json_of(page: str, name: str) -> Any:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_brings_its_sentences_along(client: Client, language: str) -> None:
    page = client.get(f"/{language}/").content.decode()
    with translation.override(language):
        assert json_of(page, "editor-words") == editor_words()
    assert json_of(page, "stage-words")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_keeps_its_blanks_in_every_language(language: str) -> None:
    english = editor_words()
    with translation.override(language):
        theirs = editor_words()
    for name, sentence in english.items():
        assert blanks(theirs[name]) == blanks(sentence), name


def blanks(sentence: str) -> list[str]:
    return sorted(re.findall(r"%\((\w+)\)s", sentence))


def test_what_is_left_stands_in_the_page_already(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=20)
    assert "20 of 20" in client.get("/en/").content.decode()


def test_a_stranger_gets_no_cookie_and_no_proof(client: Client) -> None:
    response = client.get("/en/")
    assert "openrembg_csrf" not in response.cookies
    assert "openrembg_session" not in response.cookies
    assert b"data-csrf" not in response.content


def test_whoever_is_logged_in_gets_the_proof_for_a_token() -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person().user)
    page = browser.get("/en/").content.decode()
    found = re.search(r'data-csrf="(\w+)"', page)
    assert found is not None
    answer = browser.post("/api/user-token", headers={"X-CSRFToken": found[1]})
    assert answer.status_code == 200


def test_without_javascript_there_is_the_api(client: Client) -> None:
    page = client.get("/en/").content.decode()
    found = re.search(r"<noscript>(.*?)</noscript>", page, re.DOTALL)
    assert found is not None
    assert 'href="/en/api-usage"' in found[1]


def test_a_guest_sees_the_pictures_of_the_day_and_the_minute(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=3, anonymous_per_minute=2)
    assert left(client) == "Pictures left today 3 of 3 Pictures a minute 2"
    assert send(client).status_code == 200
    assert left(client) == "Pictures left today 2 of 3 Pictures a minute 2"


def test_looking_uses_nothing_up(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=3, anonymous_per_minute=2)
    for _ in range(5):
        assert left(client).startswith("Pictures left today 3 of 3")


def test_a_guest_sees_nothing_where_nothing_is_limited(client: Client) -> None:
    assert left(client) == ""


@pytest.mark.parametrize("limit", ["anonymous_per_day", "anonymous_per_minute"])
def test_a_guest_is_led_to_the_log_in_where_guests_get_nothing(
    client: Client, furnish: Any, limit: str
) -> None:
    furnish(**{limit: 0})
    assert left(client) == "Sign in to remove backgrounds here. Sign in"


def test_another_network_has_a_day_of_its_own(client: Client, furnish: Any) -> None:
    furnish(anonymous_per_day=3)
    send(client, REMOTE_ADDR="192.0.2.1")
    assert left(client) == "Pictures left today 3 of 3"


def test_a_member_sees_what_is_left_and_until_when() -> None:
    ada = person(credits_=50, prepaid=7)
    spent(ada, 3)
    told = left(browser_of(ada))
    assert told.startswith("Included credits left 47 of 50 They last until ")
    assert told.endswith(" UTC Prepaid credits 7")


def test_a_member_without_prepaid_credits_hears_nothing_of_them() -> None:
    assert "Prepaid" not in left(browser_of(person(credits_=50)))


def test_the_billing_period_counts_where_there_is_one() -> None:
    ada, now = person(credits_=50), unix(timezone.now())
    subscribe(ada.user.pk, Period(now - 1000, now + 1000))
    page = browser_of(ada).get("/en/left").content.decode()
    moment = dt.datetime.fromtimestamp(now + 1000, dt.UTC).isoformat()
    assert f'datetime="{moment}"' in page


def test_a_period_that_is_over_counts_no_more() -> None:
    ada, now = person(credits_=50), unix(timezone.now())
    subscribe(ada.user.pk, Period(now - 1000, now - 10))
    assert left(browser_of(ada)).startswith("Included credits left 50 of 50")


def test_numbers_are_written_in_the_digits_of_the_language() -> None:
    assert "۱٬۲۰۰" in left(browser_of(person(credits_=1200)), "fa")


def test_nobody_sees_what_another_has_left() -> None:
    ada, bob = person(credits_=50), person("bob@example.com", credits_=9)
    spent(ada, 3)
    assert left(browser_of(bob)).startswith("Included credits left 9 of 9")


def test_who_is_not_verified_is_asked_to_confirm_the_address() -> None:
    eve = person("eve@example.com", verified=False)
    told = left(browser_of(eve))
    assert told == "Confirm your e-mail address before you add pictures. Go to the address"


def test_what_is_left_is_not_kept_by_anybody(client: Client) -> None:
    assert "no-store" in client.get("/en/left").headers["Cache-Control"]


def test_the_session_alone_pays_for_nothing() -> None:
    ada = person(credits_=50)
    browser = browser_of(ada)
    answer = send(browser, image=("photo.png", photo()))
    assert answer.headers["X-Credits-Source"] == "anonymous"
    assert left(browser).startswith("Included credits left 50 of 50")


def spent(somebody: Person, credits_: int) -> None:
    now = timezone.now()
    for _ in range(credits_):
        spending.charge(spending.reserve(somebody.by_token, now, HELD), now)
