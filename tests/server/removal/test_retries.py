"""Idempotency-Key: one picture, one charge, the same bytes."""

import datetime as dt
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rmbg_client import error_of, photo, send

from fakes.steady_matter import SteadyMatter
from openrembg.matting.errors import InferenceFailed
from openrembg.server.database import trouble
from openrembg.server.errors import StillRunning
from openrembg.server.quota import receipts
from openrembg.server.quota.models import LedgerEntry
from openrembg.server.removal.models import StoredAnswer
from openrembg.server.removal.retries import forget_expired
from openrembg.server.removal.waiters import MOST_OF_ONE_USER, one_more
from openrembg.server.threads import MOST_WAITING
from people import Person, person

pytestmark = pytest.mark.usefixtures("database")


def ask(
    client: Client, somebody: Person, *parts: tuple[str, str], key: str = "k", **more: Any
) -> Any:
    return send(client, *parts, headers={**somebody.with_key, "Idempotency-Key": key}, **more)


def charges() -> int:
    return LedgerEntry.objects.filter(event="charge").count()


def test_a_retry_gets_the_same_bytes_and_costs_nothing(client: Client, furnish: Any) -> None:
    matter = SteadyMatter()
    furnish(matter)
    ada = person(credits_=1)
    first, again = ask(client, ada), ask(client, ada)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert (first.headers["X-Credits-Charged"], again.headers["X-Credits-Charged"]) == ("1", "0")
    assert again.headers["Idempotent-Replayed"] == "true"
    for name in ("Content-Type", "Content-Length", "X-Width", "X-Model", "Content-Disposition"):
        assert first.headers[name] == again.headers[name]
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
    assert matter.calls == 1
    assert charges() == 1


def test_a_retry_needs_neither_credits_nor_room_in_the_minute(client: Client) -> None:
    ada = person(credits_=1, per_minute=1)
    assert ask(client, ada).status_code == 200
    assert ask(client, ada).status_code == 200
    assert ask(client, ada, key="other").status_code == 429


def test_another_payload_is_refused(client: Client) -> None:
    ada = person()
    assert ask(client, ada).status_code == 200
    for response in (
        ask(client, ada, ("w", "10")),
        ask(client, ada, image=("photo.png", photo(41))),
        ask(client, ada, image=("photo.png", b"")),
        ask(client, ada, image=None),
    ):
        assert response.status_code == 422
        assert error_of(response)["status"] == 422
    assert charges() == 1


def test_empty_and_unknown_fields_do_not_make_another_payload(client: Client) -> None:
    ada = person()
    first = ask(client, ada, ("w", "10"), ("h", "20"))
    again = ask(client, ada, ("h", "20"), ("mask", ""), ("x", "y"), ("w", "10"))
    assert first.content == again.content
    assert charges() == 1


def test_another_user_and_another_key_are_others(client: Client) -> None:
    ada, bob = person(), person("bob@example.com")
    for response in (ask(client, ada), ask(client, bob), ask(client, ada, key="l")):
        assert response.headers["X-Credits-Charged"] == "1"


def test_the_key_is_the_users_whichever_credential_brings_it(client: Client) -> None:
    ada = person()
    ask(client, ada)
    headers = {**ada.with_token, "Idempotency-Key": "k"}
    assert send(client, headers=headers).headers["X-Credits-Charged"] == "0"


def test_anonymous_callers_have_none(client: Client) -> None:
    for _ in range(2):
        assert send(client, headers={"Idempotency-Key": "k"}).headers["X-Credits-Charged"] == "1"
    assert not StoredAnswer.objects.exists()


@pytest.mark.parametrize(("length", "status"), [(255, 200), (256, 400)])
def test_a_key_has_at_most_255_characters(client: Client, length: int, status: int) -> None:
    assert ask(client, person(), key="k" * length).status_code == status


def test_an_empty_key_is_none(client: Client) -> None:
    ada = person()
    for _ in range(2):
        assert ask(client, ada, key=" ").headers["X-Credits-Charged"] == "1"


def test_what_failed_is_tried_again(client: Client, furnish: Any) -> None:
    matter = SteadyMatter(error=InferenceFailed("broke"))
    furnish(matter)
    ada = person()
    assert ask(client, ada).status_code == 500
    assert ask(client, ada, ("w", "abc")).status_code == 400
    matter.error = None
    assert ask(client, ada).headers["X-Credits-Charged"] == "1"
    assert ask(client, ada).headers["X-Credits-Charged"] == "0"


def test_an_empty_picture_costs_nothing_and_is_not_kept(client: Client, furnish: Any) -> None:
    matter = SteadyMatter(finds=False)
    furnish(matter)
    ada = person()
    first, again = ask(client, ada), ask(client, ada)
    assert first.content == again.content
    assert {a.headers["X-Credits-Charged"] for a in (first, again)} == {"0"}
    assert not StoredAnswer.objects.exists()
    assert charges() == 0


def test_an_answer_without_room_is_computed_again_for_nothing(client: Client, furnish: Any) -> None:
    matter = SteadyMatter()
    furnish(matter, kept_answers_mb=0)
    ada = person(credits_=0, prepaid=1, per_minute=3)
    first, again = ask(client, ada), ask(client, ada)
    assert first.content == again.content
    assert (first.headers["X-Credits-Charged"], again.headers["X-Credits-Charged"]) == ("1", "0")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["X-Credits-Source"] == first.headers["X-Credits-Source"] == "prepaid"
    assert matter.calls == 2
    assert StoredAnswer.objects.get().body is None
    assert ask(client, ada, ("w", "10")).status_code == 422
    assert [ask(client, ada).status_code for _ in range(2)] == [200, 429]
    assert charges() == 1


def test_what_a_user_has_kept_leaves_less_room(client: Client, furnish: Any) -> None:
    furnish(kept_answers_mb=1)
    ada = person()
    StoredAnswer.objects.create(
        user=ada.user,
        key="old",
        fingerprint="f",
        claim=uuid.uuid4(),
        size=1024 * 1024,
        expires_at=timezone.now() + dt.timedelta(hours=1),
    )
    ask(client, ada)
    assert StoredAnswer.objects.get(key="k").body is None
    forget_expired(timezone.now() + dt.timedelta(hours=2))
    ask(client, ada, key="l")
    assert StoredAnswer.objects.get(key="l").body is not None


def test_a_slow_request_keeps_its_answer_though_its_place_was_cleared_away(
    client: Client, furnish: Any
) -> None:
    class Slow(SteadyMatter):
        def matte(self, source: Any) -> Any:
            forget_expired(timezone.now() + dt.timedelta(days=1))
            return super().matte(source)

    furnish(Slow())
    ada = person(credits_=1)
    assert ask(client, ada).headers["X-Credits-Charged"] == "1"
    assert ask(client, ada).headers["Idempotent-Replayed"] == "true"


def test_a_place_outlives_the_longest_wait_for_a_slot(client: Client, furnish: Any) -> None:
    seen: list[dt.datetime] = []

    class Looking(SteadyMatter):
        def matte(self, source: Any) -> Any:
            seen.append(StoredAnswer.objects.get().expires_at)
            return super().matte(source)

    furnish(Looking(), request_timeout_s=1, queue_timeout_s=300)
    ask(client, person())
    assert seen[0] > timezone.now() + dt.timedelta(seconds=250)


def test_of_many_at_once_one_computes(furnish: Any) -> None:
    matter = SteadyMatter()
    matter.may_end.clear()
    furnish(matter)
    ada = person(credits_=1)
    start = threading.Barrier(12)

    def once(_number: int) -> tuple[int, bytes, str]:
        start.wait()
        response = ask(Client(), ada)
        connection.close()
        return response.status_code, response.content, response.headers["X-Credits-Charged"]

    threading.Timer(0.3, matter.may_end.set).start()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(once, range(12)))
    assert {status for status, _, _ in answers} == {200}
    assert len({content for _, content, _ in answers}) == 1
    assert sorted(charged for _, _, charged in answers) == ["0"] * 11 + ["1"]
    assert matter.calls == 1


def test_after_a_day_the_key_is_free_again(client: Client) -> None:
    ada = person()
    ask(client, ada)
    StoredAnswer.objects.update(expires_at=timezone.now())
    assert ask(client, ada, ("w", "10")).headers["X-Credits-Charged"] == "1"
    day = dt.timedelta(hours=24)
    assert forget_expired(timezone.now() + day * 0.99) == 0
    assert forget_expired(timezone.now() + day) == 1


def test_the_place_of_a_dead_server_is_taken_over(client: Client) -> None:
    ada = person()
    StoredAnswer.objects.create(
        user=ada.user, key="k", fingerprint="f", claim=uuid.uuid4(), expires_at=timezone.now()
    )
    assert ask(client, ada).headers["X-Credits-Charged"] == "1"


def test_one_that_still_runs_is_waited_for_and_then_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("openrembg.server.removal.retries.WAIT_S", 0.3)
    ada = person()
    first = ask(client, ada)
    StoredAnswer.objects.update(headers=None, body=None)
    response = ask(client, ada)
    assert first.status_code == 200
    assert error_of(response)["status"] == 409
    assert charges() == 1


def test_one_whose_place_was_taken_over_is_not_charged(client: Client, furnish: Any) -> None:
    class Thief(SteadyMatter):
        def matte(self, source: Any) -> Any:
            StoredAnswer.objects.update(claim=uuid.uuid4())
            return super().matte(source)

    furnish(Thief())
    ada = person(credits_=1)
    assert ask(client, ada).status_code == 409
    assert charges() == 0
    assert send(client, headers=ada.with_key).status_code == 200


def test_one_user_leaves_half_of_the_places_to_others() -> None:
    with ExitStack() as stack:
        for _ in range(MOST_OF_ONE_USER):
            stack.enter_context(one_more(1))
        with pytest.raises(StillRunning):
            stack.enter_context(one_more(1))
        stack.enter_context(one_more(2))
    assert MOST_OF_ONE_USER * 2 <= MOST_WAITING
    with one_more(1):
        pass


def test_a_retry_beyond_the_users_part_is_refused_at_once(client: Client) -> None:
    ada, began_at = person(), time.monotonic()
    ask(client, ada)
    StoredAnswer.objects.update(headers=None, body=None)
    with ExitStack() as stack:
        for _ in range(MOST_OF_ONE_USER):
            stack.enter_context(one_more(ada.user.pk))
        assert ask(client, ada).status_code == 409
    assert time.monotonic() - began_at < 20, "it would have waited for 30 seconds"


def test_a_key_is_free_again_once_the_database_can_be_written(
    client: Client, furnish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Freezing(SteadyMatter):
        def matte(self, source: Any) -> Any:
            allow_writing(self.calls > 0)
            return super().matte(source)

    monkeypatch.setattr("openrembg.server.quota.receipts.TRY_AGAIN_AFTER_S", 0.01)
    furnish(Freezing())
    ada, stop = person(credits_=2), receipts.start()
    try:
        assert ask(client, ada).status_code == 503
        allow_writing(True)
        assert ask(client, ada).headers["X-Credits-Charged"] == "1"
    finally:
        allow_writing(True)
        stop()
    assert trouble() == "", "and the server is told that all is well"
    assert charges() == 1


def allow_writing(allowed: bool) -> None:
    """Let this thread's connection to the database write, or only read."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"PRAGMA query_only = {0 if allowed else 1}")
        else:
            cursor.execute(f"SET default_transaction_read_only = {'off' if allowed else 'on'}")
