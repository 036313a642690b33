"""The pages of keys and tokens: what they show, to whom, and how often."""

import datetime as dt
import html
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import connections
from django.test import Client, RequestFactory
from django.utils import timezone
from time_machine import TimeMachineFixture

from databases import fresh
from openrembg.server.accounts.credentials import parse
from openrembg.server.accounts.keys import (
    MAX_KEYS,
    alive,
    create_key,
    create_token,
    revoke,
    rotate_key,
)
from openrembg.server.accounts.models import ApiKey, User, UserToken
from openrembg.server.accounts.once import claim
from openrembg.server.quota.models import KeyMonth
from openrembg.server.quota.windows import month_of

pytestmark = pytest.mark.usefixtures("database")

KEYS = "/en/account/keys"
TOKENS = "/en/account/tokens"
HOUR = dt.timedelta(hours=1)
NOON = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)


def a_user(email: str, **fields: Any) -> User:
    user = User.objects.create_user(email, **fields)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def browser_of(user: User) -> Client:
    """Return a browser that is logged in; its forms are checked as the world's are."""
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.force_login(user)
    return browser


@pytest.fixture
def ada() -> User:
    return a_user("ada@example.com")


@pytest.fixture
def browser(ada: User) -> Client:
    return browser_of(ada)


@pytest.fixture
def noon(time_machine: TimeMachineFixture) -> TimeMachineFixture:
    """The clock, which stands still at noon."""
    time_machine.move_to(NOON, tick=False)
    return time_machine


def shown(response: Any) -> str:
    """Return what a page says, without its tags."""
    assert response.status_code == 200, response.status_code
    text = re.sub(r"<[^>]*>", " ", response.content.decode())
    return " ".join(html.unescape(text).split())


def hidden_fields(browser: Client, page: str) -> dict[str, str]:
    """Return what a form holds before anybody fills it in."""
    text = browser.get(page).content.decode()
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text)
    return dict(fields)


def send(browser: Client, page: str, **fields: str) -> Any:
    """Fill in the form of a page and send it."""
    return browser.post(page, {**hidden_fields(browser, page), **fields})


def text_on(response: Any) -> str:
    """Return the key that a page shows, alone and in a command, which is a real one."""
    [found] = set(re.findall(r"orbk_\w{38}", response.content.decode()))
    assert parse("key", found) is not None
    return str(found)


def messages_after(browser: Client, response: Any, target: str = KEYS) -> str:
    """Return what the page says that a form leads to."""
    assert (response.status_code, response.headers["Location"]) == (302, target)
    return shown(browser.get(target))


def every_address(key: int, token: int) -> list[tuple[str, str]]:
    return [
        ("get", KEYS),
        ("post", KEYS),
        *((method, f"{KEYS}/{key}") for method in ("get", "post")),
        *((method, f"{KEYS}/{key}/rotate") for method in ("get", "post")),
        *((method, f"{KEYS}/{key}/revoke") for method in ("get", "post")),
        ("get", TOKENS),
        ("post", f"{TOKENS}/revoke"),
        ("post", f"{TOKENS}/{token}/revoke"),
    ]


# Who gets in.


def test_nobody_is_sent_to_log_in(ada: User) -> None:
    key, token = create_key(ada)[0], create_token(ada)[0]
    for method, address in every_address(key.pk, token.pk):
        response = getattr(Client(), method)(address)
        assert response.status_code == 302, address
        assert response.headers["Location"] == f"/en/account/login/?next={address}"
    assert alive(ApiKey, ada).count() == alive(UserToken, ada).count() == 1


@pytest.mark.parametrize("fields", [{}, {"is_staff": True, "is_superuser": True}])
def test_another_s_keys_and_tokens_are_not_there(ada: User, fields: dict[str, bool]) -> None:
    key, token = create_key(ada, "Ada's own")[0], create_token(ada, "Ada's own")[0]
    eve = Client(raise_request_exception=False)
    eve.force_login(a_user("eve@example.com", **fields))
    for method, address in every_address(key.pk, token.pk):
        if str(key.pk) in address.split("/") or str(token.pk) in address.split("/"):
            fields_ = {"overlap": "0", "ticket": "x", "name": "mine"}
            assert getattr(eve, method)(address, fields_).status_code == 404, address
    for page in (KEYS, TOKENS):
        assert "Ada's own" not in shown(eve.get(page))
    eve.post(f"{TOKENS}/revoke")
    assert alive(ApiKey, ada).get().name == "Ada's own"
    assert alive(UserToken, ada).exists()


@pytest.mark.parametrize("number", [0, 2**31, 2**63, 10**30])
def test_a_key_that_nobody_has_is_not_there(browser: Client, number: int) -> None:
    for address in (f"{KEYS}/{number}", f"{KEYS}/{number}/rotate", f"{KEYS}/{number}/revoke"):
        assert browser.get(address).status_code == 404
    form = hidden_fields(browser, KEYS)
    assert browser.post(f"{TOKENS}/{number}/revoke", form).status_code == 404


def test_nothing_changes_without_the_csrf_token(ada: User, browser: Client) -> None:
    key, token = create_key(ada, "one")[0], create_token(ada)[0]
    fields = {"ticket": "x", "overlap": "0", "name": "two"}
    for method, address in every_address(key.pk, token.pk):
        if method == "post":
            assert browser.post(address, fields).status_code == 403, address
    kept = fresh(key)
    assert (kept.name, kept.digest) == ("one", key.digest)
    assert alive(ApiKey, ada).count() == alive(UserToken, ada).count() == 1


def test_a_link_changes_nothing(ada: User, browser: Client) -> None:
    key, token = create_key(ada)[0], create_token(ada)[0]
    for suffix in ("", "/rotate", "/revoke"):
        assert browser.get(f"{KEYS}/{key.pk}{suffix}").status_code == 200
    for suffix in ("revoke", f"{token.pk}/revoke"):
        assert browser.get(f"{TOKENS}/{suffix}").status_code == 405
    assert fresh(key).digest == key.digest
    assert alive(ApiKey, ada).count() == alive(UserToken, ada).count() == 1


@pytest.mark.parametrize("language", ["en", "fa", "id", "ja", "ko"])
def test_the_pages_are_there_in_every_language(ada: User, browser: Client, language: str) -> None:
    key = create_key(ada)[0]
    for page in ("keys", f"keys/{key.pk}", f"keys/{key.pk}/rotate", "tokens"):
        response = browser.get(f"/{language}/account/{page}")
        direction = "rtl" if language == "fa" else "ltr"
        assert f'<html lang="{language}" dir="{direction}">' in response.content.decode()


# Making one.


def test_a_new_key_is_shown_and_works(ada: User, browser: Client, noon: Any) -> None:
    response = send(browser, KEYS, name="printer", expires="2026-12-31", monthly_cap="7")
    secret = parse("key", text_on(response))
    key = ApiKey.objects.get()
    assert secret is not None
    assert key.digest == secret.digest
    assert (key.user, key.name, key.monthly_cap) == (ada, "printer", 7)
    assert key.expires_at == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    assert "no-store" in response.headers["Cache-Control"]


def test_the_page_of_a_new_key_has_a_command_that_works_as_it_stands(browser: Client) -> None:
    response = send(browser, KEYS, name="printer")
    text = text_on(response)
    command = f'curl -H "X-Api-Key: {text}" -F "image=@photo.jpg" -o cutout.webp'
    assert f"{command} http://testserver/rmbg" in shown(response)


def test_the_command_names_the_public_address(browser: Client, furnish: Any) -> None:
    furnish(public_url="https://cut.example/base")
    assert "https://cut.example/base/rmbg" in shown(send(browser, KEYS))


def test_the_first_key_is_one_click_on_the_overview(ada: User, browser: Client) -> None:
    response = browser.post(KEYS, hidden_fields(browser, "/en/account/"))
    text_on(response)
    assert alive(ApiKey, ada).get().name == "My first key"
    assert "Make your first key" not in shown(browser.get("/en/account/"))


def test_the_click_for_the_first_key_counts_once(ada: User, browser: Client) -> None:
    form = hidden_fields(browser, "/en/account/")
    text_on(browser.post(KEYS, form))
    assert "This form was sent before" in messages_after(browser, browser.post(KEYS, form))
    assert alive(ApiKey, ada).count() == 1


def test_a_key_needs_neither_name_nor_end_nor_cap(browser: Client) -> None:
    text_on(send(browser, KEYS))
    key = ApiKey.objects.get()
    assert (key.name, key.expires_at, key.monthly_cap) == ("", None, None)


def test_a_new_key_is_shown_this_once(browser: Client) -> None:
    text = text_on(send(browser, KEYS, name="printer"))
    key = ApiKey.objects.get()
    for page in ("", f"/{key.pk}", f"/{key.pk}/rotate", f"/{key.pk}/revoke"):
        content = browser.get(f"{KEYS}{page}").content.decode()
        assert text not in content
        assert text[:10] in content
        assert text[10:16] not in content


def test_the_page_reloaded_makes_no_second_key(browser: Client) -> None:
    form = {**hidden_fields(browser, KEYS), "name": "printer"}
    text = text_on(browser.post(KEYS, form))
    for _ in range(2):
        said = messages_after(browser, browser.post(KEYS, form))
        assert "This form was sent before, so nothing was done." in said
        assert text not in said
    assert ApiKey.objects.count() == 1


def test_a_double_click_makes_one_key(ada: User, browser: Client) -> None:
    form = {**hidden_fields(browser, KEYS), "name": "printer"}

    def click(_: int) -> int:
        again = Client(enforce_csrf_checks=True)
        again.cookies = browser.cookies
        try:
            return again.post(KEYS, form).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        statuses = sorted(threads.map(click, range(4)))
    assert statuses == [200, 302, 302, 302]
    assert alive(ApiKey, ada).count() == 1


def test_of_two_forms_that_came_together_one_is_the_first(ada: User, browser: Client) -> None:
    requests = [RequestFactory().post(KEYS), RequestFactory().post(KEYS)]
    for request in requests:
        request.session = browser.session
        assert "_auth_user_id" in request.session, "the session is read before the form"
    assert [claim(request, ada, "ticket") for request in requests] == [True, False]
    assert not claim(requests[0], ada, "ticket")
    assert claim(requests[0], ada, "another ticket")


def test_who_has_logged_out_meanwhile_makes_no_key(ada: User, browser: Client) -> None:
    request = RequestFactory().post(KEYS)
    request.session = browser.session
    assert "_auth_user_id" in request.session
    browser.session.delete()
    with pytest.raises(SessionInterrupted):
        claim(request, ada, "ticket")


def test_the_next_form_makes_the_next_key(ada: User, browser: Client) -> None:
    texts = {text_on(send(browser, KEYS)) for _ in range(3)}
    assert len(texts) == alive(ApiKey, ada).count() == 3


def test_a_form_without_a_ticket_makes_nothing(browser: Client) -> None:
    form = {**hidden_fields(browser, KEYS), "ticket": ""}
    assert browser.post(KEYS, form).status_code == 200
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("name", "n" * 101, "at most 100 characters"),
        ("name", "a\0b", "Null characters are not allowed"),
        ("expires", "2026-11-30", "This day has passed."),
        ("expires", "9999-01-01", "This day is too far away."),
        ("expires", "tomorrow", "Enter a valid date."),
        ("expires", "0000-00-00", "Enter a valid date."),
        ("monthly_cap", "-1", "greater than or equal to 0"),
        ("monthly_cap", "1000000000001", "less than or equal to 1000000000000"),
        ("monthly_cap", "9" * 5000, "Enter a whole number."),
        ("monthly_cap", "1.5", "Enter a whole number."),
    ],
)
def test_what_makes_no_sense_is_said_and_makes_nothing(
    browser: Client, noon: Any, field: str, value: str, complaint: str
) -> None:
    assert complaint in shown(send(browser, KEYS, **{field: value}))
    assert not ApiKey.objects.exists()


def test_a_mistake_can_be_mended_in_the_same_form(browser: Client) -> None:
    form = {**hidden_fields(browser, KEYS), "monthly_cap": "-1"}
    assert browser.post(KEYS, form).status_code == 200
    text_on(browser.post(KEYS, {**form, "monthly_cap": "1"}))


def test_a_key_may_end_today(browser: Client, noon: Any) -> None:
    text_on(send(browser, KEYS, expires="2026-12-01"))
    assert ApiKey.objects.get().expires_at == dt.datetime(2026, 12, 2, tzinfo=dt.UTC)


def test_too_many_keys_are_refused_in_words(ada: User, browser: Client) -> None:
    for _ in range(MAX_KEYS):
        create_key(ada)
    said = messages_after(browser, send(browser, KEYS))
    assert f"You have {MAX_KEYS} keys that work" in said
    assert alive(ApiKey, ada).count() == MAX_KEYS


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("application/x-www-form-urlencoded", b"a=1&" * 2000),
    ],
)
def test_a_form_that_cannot_be_read_is_the_browser_s_mistake(
    browser: Client, kind: str, body: bytes
) -> None:
    browser.get(KEYS)
    assert browser.generic("POST", KEYS, body, content_type=kind).status_code == 400
    assert not ApiKey.objects.exists()


# The list.


def test_the_list_says_how_each_key_stands(ada: User, browser: Client, noon: Any) -> None:
    key, secret = create_key(ada, "printer", expires_at=NOON + HOUR, monthly_cap=100)
    KeyMonth.objects.create(key=key, start=month_of(NOON).start, used=12)
    KeyMonth.objects.create(key=key, start=month_of(NOON - 48 * HOUR).start, used=50)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=NOON - HOUR)
    said = shown(browser.get(KEYS))
    assert f"printer Begins with {secret.text[:10]}… State It works." in said
    assert "Created Dec. 1, 2026, noon UTC Last used Dec. 1, 2026, 11 a.m. UTC" in said
    assert "Expires Dec. 1, 2026, 1 p.m. UTC Credits this month 12 of at most 100" in said


def test_a_plain_key_has_neither_end_nor_cap(ada: User, browser: Client) -> None:
    create_key(ada)
    said = shown(browser.get(KEYS))
    assert "Key without a name" in said
    assert "Last used never Expires never Credits this month 0 Change" in said


def test_keys_that_have_ended_are_listed_apart(ada: User, browser: Client, noon: Any) -> None:
    revoked, _ = create_key(ada, "first")
    revoke(revoked)
    create_key(ada, "second", expires_at=NOON)
    said = shown(browser.get(KEYS))
    _, _, ended = said.partition("You have no keys that work. Keys that have ended")
    assert "Revoked: Dec. 1, 2026, noon UTC" in ended
    assert "Expired: Dec. 1, 2026, noon UTC" in ended
    assert "Rotate" not in said


def test_an_overlap_is_shown_while_it_lasts(
    ada: User, browser: Client, noon: TimeMachineFixture
) -> None:
    key, _ = create_key(ada)
    rotate_key(key, HOUR)
    assert "Old key works until Dec. 1, 2026, 1 p.m. UTC" in shown(browser.get(KEYS))
    noon.shift(3600)
    assert "Old key works" not in shown(browser.get(KEYS))


def test_a_name_is_text_and_nothing_else(ada: User, browser: Client) -> None:
    create_key(ada, "<script>alert(1)</script>")
    content = browser.get(KEYS).content.decode()
    assert "<script>alert" not in content
    assert "&lt;script&gt;alert(1)" in content


# Rotating, changing, ending.


@pytest.mark.parametrize("overlap", [0, 3600, 24 * 3600, 7 * 24 * 3600])
def test_a_rotated_key_is_shown_once(ada: User, browser: Client, noon: Any, overlap: int) -> None:
    key, old = create_key(ada, "printer")
    page = f"{KEYS}/{key.pk}/rotate"
    form = {**hidden_fields(browser, page), "overlap": str(overlap)}
    response = browser.post(page, form)
    secret = parse("key", text_on(response))
    kept = fresh(key)
    assert secret is not None
    assert (kept.digest, kept.previous_digest) == (secret.digest, old.digest)
    assert kept.previous_ends_at == NOON + dt.timedelta(seconds=overlap)
    assert "no-store" in response.headers["Cache-Control"]
    assert ("Old key works until" in shown(response)) == (overlap > 0)
    messages_after(browser, browser.post(page, form))
    assert fresh(key).digest == secret.digest, "the page was reloaded"


@pytest.mark.parametrize("overlap", ["", "1", "-1", "abc", str(30 * 24 * 3600)])
def test_only_the_offered_overlaps_are_taken(ada: User, browser: Client, overlap: str) -> None:
    key, _ = create_key(ada)
    assert send(browser, f"{KEYS}/{key.pk}/rotate", overlap=overlap).status_code == 200
    assert fresh(key).digest == key.digest


def test_a_key_is_changed(ada: User, browser: Client, noon: Any) -> None:
    key, _ = create_key(ada, "one", monthly_cap=5)
    fields = {"name": "two", "expires": "2026-12-24", "monthly_cap": ""}
    said = messages_after(browser, send(browser, f"{KEYS}/{key.pk}", **fields))
    assert "The key is changed." in said
    kept = fresh(key)
    assert (kept.name, kept.monthly_cap, kept.digest) == ("two", None, key.digest)
    assert kept.expires_at == dt.datetime(2026, 12, 25, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("ends", "day"),
    [
        (dt.datetime(2026, 12, 24, 15, 30, tzinfo=dt.UTC), "2026-12-24"),
        (dt.datetime(2026, 12, 25, tzinfo=dt.UTC), "2026-12-24"),
    ],
)
def test_a_new_name_leaves_the_moment_of_the_end(
    ada: User, browser: Client, noon: Any, ends: dt.datetime, day: str
) -> None:
    key, _ = create_key(ada, "one", expires_at=ends)
    page = f"{KEYS}/{key.pk}"
    assert f'value="{day}"' in browser.get(page).content.decode()
    messages_after(browser, send(browser, page, name="two", expires=day))
    assert (fresh(key).name, fresh(key).expires_at) == ("two", ends)


def test_an_end_can_be_taken_away(ada: User, browser: Client) -> None:
    key, _ = create_key(ada, expires_at=timezone.now() + HOUR)
    messages_after(browser, send(browser, f"{KEYS}/{key.pk}", expires=""))
    assert fresh(key).expires_at is None


def test_a_key_is_revoked_after_a_question(ada: User, browser: Client) -> None:
    key, _ = create_key(ada, "printer")
    other, _ = create_key(ada)
    page = f"{KEYS}/{key.pk}/revoke"
    assert "printer" in shown(browser.get(page))
    assert "The key is revoked." in messages_after(browser, send(browser, page))
    assert list(alive(ApiKey, ada)) == [other]


@pytest.mark.parametrize("suffix", ["", "/rotate", "/revoke"])
def test_a_key_that_has_ended_stays_ended(ada: User, browser: Client, suffix: str) -> None:
    key, _ = create_key(ada)
    page = f"{KEYS}/{key.pk}{suffix}"
    form = {**hidden_fields(browser, page), "overlap": "3600", "name": "again", "expires": ""}
    revoke(key)
    ended = fresh(key)
    assert "This key has ended" in messages_after(browser, browser.post(page, form))
    assert "This key has ended" in messages_after(browser, browser.get(page))
    kept = fresh(key)
    assert (kept.revoked_at, kept.digest, kept.name) == (ended.revoked_at, key.digest, "")


# Tokens.


def test_the_list_shows_the_tokens_that_work(
    ada: User, browser: Client, noon: TimeMachineFixture
) -> None:
    _, secret = create_token(ada, "editor")
    said = shown(browser.get(TOKENS))
    assert f"editor Begins with {secret.text[:10]}… Created Dec. 1, 2026, noon UTC" in said
    assert "Last used never Expires Dec. 1, 2026, 1 p.m. UTC" in said
    assert secret.text not in browser.get(TOKENS).content.decode()
    noon.shift(3600)
    said = shown(browser.get(TOKENS))
    assert "You have no tokens that work." in said
    assert "Begins with" not in said
    assert "Revoke all tokens" not in said


def csrf_form(browser: Client) -> dict[str, str]:
    return {"csrfmiddlewaretoken": hidden_fields(browser, KEYS)["csrfmiddlewaretoken"]}


def test_one_token_is_revoked(ada: User, browser: Client) -> None:
    token, other = create_token(ada)[0], create_token(ada)[0]
    response = browser.post(f"{TOKENS}/{token.pk}/revoke", csrf_form(browser))
    assert "The token is revoked." in messages_after(browser, response, TOKENS)
    assert list(alive(UserToken, ada)) == [other]


def test_all_tokens_are_revoked_and_no_keys(ada: User, browser: Client) -> None:
    create_token(ada)
    create_token(ada)
    create_key(ada)
    theirs, _ = create_token(a_user("eve@example.com"))
    response = browser.post(f"{TOKENS}/revoke", csrf_form(browser))
    assert "All tokens are revoked." in messages_after(browser, response, TOKENS)
    assert not alive(UserToken, ada).exists()
    assert alive(ApiKey, ada).count() == 1
    assert fresh(theirs).revoked_at is None


def test_a_cap_of_nothing_is_explained(ada: User) -> None:
    create_key(ada, "printer", monthly_cap=5)
    browser = browser_of(ada)
    assert "With 0 it makes no pictures." in shown(browser.get(KEYS))
    assert "With this cap" not in shown(browser.get(KEYS))
    create_key(ada, "scanner", monthly_cap=0)
    assert "0 of at most 0 With this cap the key makes no pictures." in shown(browser.get(KEYS))
