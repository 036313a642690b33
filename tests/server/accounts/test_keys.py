"""Keys and tokens in the database: made, rotated, changed, ended."""

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import connection, connections
from django.utils import timezone
from pytest_django.fixtures import Settings as DjangoSettings

from databases import fresh
from openrembg.server.accounts.credentials import Secret, parse
from openrembg.server.accounts.keys import (
    MAX_KEYS,
    MAX_OVERLAP,
    MAX_TOKENS,
    NotAlive,
    TooManyKeys,
    alive,
    change_key,
    create_key,
    create_token,
    revoke,
    revoke_all,
    rotate_key,
)
from openrembg.server.accounts.models import ApiKey, User, UserToken

pytestmark = pytest.mark.usefixtures("database")

HOUR = dt.timedelta(hours=1)
NO_TIME = dt.timedelta(0)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada@example.com")


@pytest.fixture
def eve() -> User:
    return User.objects.create_user("eve@example.com")


def everything() -> str:
    """Return all that is in the database."""
    rows: list[object] = []
    with connection.cursor() as cursor:
        for name in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{name}"')  # noqa: S608
            rows += cursor.fetchall()
    return repr(rows)


def at_once(count: int, work: Callable[[], object]) -> list[object]:
    """Return what so many threads got that began together; an error counts as an answer."""
    start = threading.Barrier(count)

    def run(_: int) -> object:
        start.wait()
        try:
            return work()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def test_a_key_is_what_its_text_says(ada: User) -> None:
    expires_at = timezone.now() + HOUR
    key, secret = create_key(ada, "build server", expires_at=expires_at, monthly_cap=7)
    kept = fresh(key)
    assert parse("key", secret.text) == secret
    assert (kept.digest, kept.prefix, kept.name) == (secret.digest, secret.prefix, "build server")
    assert (kept.expires_at, kept.monthly_cap) == (expires_at, 7)
    assert str(kept) == f"{secret.prefix}…"


def test_no_text_is_in_the_database(ada: User) -> None:
    key, first = create_key(ada, "one")
    second = rotate_key(key, HOUR)
    _, token = create_token(ada)
    dump = everything()
    for secret in (first, second, token):
        assert secret.digest in dump
        assert secret.text not in dump
        hidden = secret.text[len(secret.prefix) :]
        assert hidden not in dump
        assert hidden[:12] not in dump


def test_a_rotation_keeps_all_but_the_text(ada: User) -> None:
    key, first = create_key(ada, "one", expires_at=timezone.now() + HOUR, monthly_cap=7)
    before = fresh(key)
    second = rotate_key(key, HOUR)
    after = fresh(key)
    assert (after.digest, after.prefix) == (second.digest, second.prefix)
    assert after.previous_digest == first.digest
    assert (after.name, after.expires_at, after.monthly_cap) == ("one", before.expires_at, 7)
    assert after.created_at == before.created_at


@pytest.mark.parametrize(
    ("overlap", "lasts"),
    [
        (dt.timedelta(days=-1), NO_TIME),
        (NO_TIME, NO_TIME),
        (HOUR, HOUR),
        (MAX_OVERLAP + HOUR, MAX_OVERLAP),
    ],
)
def test_an_overlap_is_at_most_a_month(
    ada: User, overlap: dt.timedelta, lasts: dt.timedelta
) -> None:
    key, _ = create_key(ada)
    before = timezone.now()
    rotate_key(key, overlap)
    assert before + lasts <= fresh(key).previous_ends_at <= timezone.now() + lasts


def test_of_two_rotations_the_first_text_is_forgotten(ada: User) -> None:
    key, first = create_key(ada)
    second = rotate_key(key, HOUR)
    third = rotate_key(key, HOUR)
    kept = fresh(key)
    assert (kept.previous_digest, kept.digest) == (second.digest, third.digest)
    assert first.digest not in everything()


def test_rotations_at_once_leave_one_text_and_the_one_before(ada: User) -> None:
    key, _ = create_key(ada)
    secrets = at_once(4, lambda: rotate_key(key, HOUR))
    digests = {secret.digest for secret in secrets if isinstance(secret, Secret)}
    kept = fresh(key)
    assert len(digests) == 4
    assert {kept.digest, kept.previous_digest} < digests


def test_what_has_ended_is_not_rotated_and_not_changed(ada: User) -> None:
    revoked, _ = create_key(ada)
    revoke(revoked)
    expired, _ = create_key(ada, expires_at=timezone.now())
    for key in (revoked, expired):
        before = fresh(key).digest
        with pytest.raises(NotAlive):
            rotate_key(key, HOUR)
        with pytest.raises(NotAlive):
            change_key(key, name="again", expires_at=None, monthly_cap=None)
        assert (fresh(key).digest, fresh(key).name) == (before, "")


def test_a_change_leaves_the_text(ada: User) -> None:
    key, secret = create_key(ada, "one")
    ends = timezone.now() + HOUR
    change_key(key, name="two", expires_at=ends, monthly_cap=0)
    kept = fresh(key)
    assert (kept.name, kept.expires_at, kept.monthly_cap) == ("two", ends, 0)
    assert kept.digest == secret.digest


def test_a_revoked_one_keeps_the_time_of_its_end(ada: User) -> None:
    key, _ = create_key(ada)
    revoke(key)
    first = fresh(key).revoked_at
    revoke(key)
    assert first is not None
    assert fresh(key).revoked_at == first


def test_all_of_one_user_end_and_nobody_else_s(ada: User, eve: User) -> None:
    create_key(ada)
    create_token(ada)
    create_key(eve)
    create_token(eve)
    revoke_all(ada)
    assert not alive(ApiKey, ada).exists()
    assert not alive(UserToken, ada).exists()
    assert alive(ApiKey, eve).count() == alive(UserToken, eve).count() == 1


def test_all_of_one_kind_end_and_no_others(ada: User) -> None:
    create_key(ada)
    create_token(ada)
    revoke_all(ada, UserToken)
    assert not alive(UserToken, ada).exists()
    assert alive(ApiKey, ada).count() == 1


def test_what_is_alive_comes_newest_first(ada: User) -> None:
    first, second = create_key(ada)[0], create_key(ada)[0]
    create_key(ada, expires_at=timezone.now())
    assert list(alive(ApiKey, ada)) == [second, first]


def test_one_may_have_so_many_live_keys(ada: User, eve: User) -> None:
    keys = [create_key(ada)[0] for _ in range(MAX_KEYS)]
    with pytest.raises(TooManyKeys):
        create_key(ada)
    create_key(eve)
    revoke(keys[0])
    create_key(ada)
    with pytest.raises(TooManyKeys):
        create_key(ada)


def test_nobody_gets_more_keys_by_asking_for_many_at_once(ada: User) -> None:
    for _ in range(MAX_KEYS - 2):
        create_key(ada)
    answers = at_once(8, lambda: create_key(ada))
    assert sum(isinstance(answer, tuple) for answer in answers) == 2
    assert sum(isinstance(answer, TooManyKeys) for answer in answers) == 6
    assert alive(ApiKey, ada).count() == MAX_KEYS


def test_a_user_who_is_gone_gets_no_key(ada: User) -> None:
    gone = User.objects.get(pk=ada.pk)
    ada.delete()
    with pytest.raises(User.DoesNotExist):
        create_key(gone)


def test_keys_and_tokens_go_with_their_user(ada: User) -> None:
    create_key(ada)
    create_token(ada)
    ada.delete()
    assert not ApiKey.objects.exists()
    assert not UserToken.objects.exists()


def test_a_token_lives_as_long_as_the_settings_say(ada: User, settings: DjangoSettings) -> None:
    settings.OPENREMBG = replace(settings.OPENREMBG, token_lifetime_s=90)
    token, secret = create_token(ada, "editor")
    assert parse("token", secret.text) == secret
    assert token.expires_at == token.created_at + dt.timedelta(seconds=90)
    assert token.is_alive(token.expires_at - dt.timedelta(microseconds=1))
    assert not token.is_alive(token.expires_at)


def test_old_tokens_make_room_for_new_ones(ada: User, eve: User) -> None:
    other, _ = create_token(eve)
    tokens = [create_token(ada)[0] for _ in range(MAX_TOKENS + 2)]
    kept = list(UserToken.objects.filter(user=ada).order_by("pk"))
    assert kept == tokens[2:]
    assert fresh(other).is_alive(timezone.now())
