"""Who is asking: the headers of a request, read against both databases."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.account.models import EmailAddress
from django.db import connection, connections
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from time_machine import TimeMachineFixture

from databases import fresh
from openrembg.server.accounts import asking
from openrembg.server.accounts.asking import (
    NOTE_USE_EVERY,
    Anonymous,
    Member,
    member_with_key,
    token_of,
    who_is_asking,
)
from openrembg.server.accounts.credentials import fresh as fresh_secret
from openrembg.server.accounts.keys import (
    create_key,
    create_token,
    revoke,
    revoke_all,
    rotate_key,
)
from openrembg.server.accounts.models import Credential, User
from openrembg.server.billing.models import Subscription
from openrembg.server.errors import (
    AccountGone,
    BothCredentials,
    EmailNotVerified,
    InvalidKey,
    InvalidToken,
)
from openrembg.server.quota.models import Balance, LedgerEntry
from openrembg.server.quota.spending import Payer
from openrembg.server.quota.windows import Period
from people import paying

pytestmark = pytest.mark.usefixtures("database")
# Of what is refused or read before any database is asked.
ON_SQLITE = pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True)

HOUR = dt.timedelta(hours=1)
BEGAN, ENDS = dt.datetime(2026, 11, 16, tzinfo=dt.UTC), dt.datetime(2026, 12, 16, tzinfo=dt.UTC)
PERIOD = Period(int(BEGAN.timestamp()), int(ENDS.timestamp()))
NOBODY = Anonymous("192.0.2.1/32")


def ask(**headers: str) -> Anonymous | Member:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return who_is_asking(RequestFactory().post("/rmbg", headers=named, REMOTE_ADDR="192.0.2.1"))


def ask_with_key(text: str) -> Member:
    member = ask(x_api_key=text)
    assert isinstance(member, Member)
    return member


def ask_with_token(text: str) -> Member:
    member = ask(Authorization=f"Bearer {text}")
    assert isinstance(member, Member)
    return member


@pytest.fixture
def ada() -> User:
    user = User.objects.create_user("ada@example.com")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    return user


@pytest.fixture
def eve() -> User:
    return User.objects.create_user("eve@example.com")


def test_nobody_special_is_anonymous() -> None:
    assert ask() == NOBODY


@ON_SQLITE
@pytest.mark.parametrize("scheme", ["Basic dTpw", "Digest x", "", "Bearerx y", "Token abc"])
def test_other_schemes_are_no_user_token(scheme: str) -> None:
    assert ask(Authorization=scheme) == NOBODY


def test_a_session_says_nothing(ada: User) -> None:
    request = RequestFactory().post("/rmbg", REMOTE_ADDR="192.0.2.1")
    request.user = ada
    request.COOKIES = {"openrembg_session": "anything"}
    assert who_is_asking(request) == NOBODY


@ON_SQLITE
@pytest.mark.parametrize(
    "key", ["", " ", "abc", "\0", "orbk_", "schlüssel", "orbk_" + "0" * 38, "k" * 100_000]
)
def test_garbage_is_no_key(key: str) -> None:
    with pytest.raises(InvalidKey):
        ask(x_api_key=key)


@ON_SQLITE
@pytest.mark.parametrize(
    "token", ["Bearer", "Bearer abc", "BEARER abc", "bearer  abc", "Bearer \0"]
)
def test_garbage_is_no_token(token: str) -> None:
    with pytest.raises(InvalidToken):
        ask(Authorization=token)


def test_garbage_does_not_bother_the_database() -> None:
    with CaptureQueriesContext(connection) as queries:
        for text in ("", "abc", fresh_secret("key").text[:-1] + "!"):
            with pytest.raises(InvalidKey):
                ask(x_api_key=text)
    assert not queries.captured_queries


def test_a_key_that_nobody_has_is_unknown(ada: User) -> None:
    create_key(ada)
    with pytest.raises(InvalidKey):
        ask(x_api_key=fresh_secret("key").text)


def test_a_token_that_nobody_has_is_unknown(ada: User) -> None:
    create_token(ada)
    with pytest.raises(InvalidToken):
        ask(Authorization=f"Bearer {fresh_secret('token').text}")


def test_a_key_stands_for_its_owner_and_for_itself(ada: User, eve: User) -> None:
    key, secret = create_key(ada, monthly_cap=7)
    other, others = create_key(eve)
    member = ask_with_key(secret.text)
    assert member.payer == Payer(ada.pk, "api", key.pk, 7)
    assert member.balance.pk == ada.pk
    assert member.balance.plan.label == "Free"
    assert ask_with_key(others.text).payer == Payer(eve.pk, "api", other.pk, None)


def test_a_token_stands_for_its_owner_in_the_app(ada: User, eve: User) -> None:
    mine, others = create_token(ada)[1], create_token(eve)[1]
    assert ask_with_token(mine.text).payer == Payer(ada.pk, "app")
    assert ask_with_token(others.text).payer == Payer(eve.pk, "app")


@ON_SQLITE
@pytest.mark.parametrize("around", ["{}", " {} ", "\t{}"])
def test_space_around_a_key_does_not_matter(ada: User, around: str) -> None:
    _, secret = create_key(ada)
    assert ask_with_key(around.format(secret.text)).payer.user_id == ada.pk


@ON_SQLITE
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", " Bearer "])
def test_the_scheme_is_written_in_any_case(ada: User, scheme: str) -> None:
    _, secret = create_token(ada)
    member = ask(Authorization=f"{scheme} {secret.text} ")
    assert isinstance(member, Member)


def test_a_token_is_no_key_and_a_key_no_token(ada: User) -> None:
    key, token = create_key(ada)[1], create_token(ada)[1]
    with pytest.raises(InvalidKey):
        ask(x_api_key=token.text)
    with pytest.raises(InvalidToken):
        ask(Authorization=f"Bearer {key.text}")


def test_both_are_a_mistake_whatever_they_are(ada: User) -> None:
    keys = ("", "abc", create_key(ada)[1].text)
    tokens = ("", "abc", create_token(ada)[1].text)
    for key in keys:
        for token in tokens:
            with pytest.raises(BothCredentials):
                ask(x_api_key=key, Authorization=f"Bearer {token}")
            with pytest.raises(BothCredentials):
                ask(x_api_key=key, Authorization=f"Bearer{token and ' '}{token}")


def test_a_key_beside_another_scheme_is_a_key(ada: User) -> None:
    _, secret = create_key(ada)
    member = ask(x_api_key=secret.text, Authorization="Basic dTpw")
    assert isinstance(member, Member)


def test_a_revoked_key_is_unknown_from_then_on(ada: User) -> None:
    key, secret = create_key(ada)
    ask_with_key(secret.text)
    revoke(key)
    with pytest.raises(InvalidKey):
        ask_with_key(secret.text)


def test_a_revoked_token_is_unknown_from_then_on(ada: User) -> None:
    token, secret = create_token(ada)
    ask_with_token(secret.text)
    revoke(token)
    with pytest.raises(InvalidToken):
        ask_with_token(secret.text)


def test_all_end_at_once(ada: User, eve: User) -> None:
    key, token, others = create_key(ada)[1], create_token(ada)[1], create_key(eve)[1]
    revoke_all(ada)
    with pytest.raises(InvalidKey):
        ask_with_key(key.text)
    with pytest.raises(InvalidToken):
        ask_with_token(token.text)
    assert ask_with_key(others.text).payer.user_id == eve.pk


@pytest.mark.parametrize("fraction_us", [0, 500_000])
def test_a_key_ends_at_the_moment_that_it_expires(
    ada: User, time_machine: TimeMachineFixture, fraction_us: int
) -> None:
    # With and without a fraction: SQLite compares moments as texts.
    ends = dt.datetime(2026, 12, 1, 0, 0, 0, fraction_us, dt.UTC)
    time_machine.move_to(ends - HOUR, tick=False)
    _, secret = create_key(ada, expires_at=ends)
    for before_ms in (1000, 500, 1):
        time_machine.move_to(ends - dt.timedelta(milliseconds=before_ms), tick=False)
        ask_with_key(secret.text)
    for after_ms in (0, 1, 500, 1000):
        time_machine.move_to(ends + dt.timedelta(milliseconds=after_ms), tick=False)
        with pytest.raises(InvalidKey):
            ask_with_key(secret.text)


def test_a_token_ends_after_its_lifetime(ada: User, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(dt.datetime(2026, 12, 1, tzinfo=dt.UTC), tick=False)
    _, secret = create_token(ada)
    time_machine.shift(3599)
    ask_with_token(secret.text)
    time_machine.shift(1)
    with pytest.raises(InvalidToken):
        ask_with_token(secret.text)


def test_a_rotated_key_opens_with_both_texts_until_the_overlap_ends(
    ada: User, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(dt.datetime(2026, 12, 1, tzinfo=dt.UTC), tick=False)
    key, old = create_key(ada, monthly_cap=7)
    new = rotate_key(key, HOUR)
    same = Payer(ada.pk, "api", key.pk, 7)
    assert ask_with_key(old.text).payer == ask_with_key(new.text).payer == same
    time_machine.shift(3599)
    assert ask_with_key(old.text).payer == same
    time_machine.shift(1)
    with pytest.raises(InvalidKey):
        ask_with_key(old.text)
    assert ask_with_key(new.text).payer == same


def test_without_overlap_the_old_text_is_dead_at_once(ada: User) -> None:
    key, old = create_key(ada)
    new = rotate_key(key, dt.timedelta(0))
    with pytest.raises(InvalidKey):
        ask_with_key(old.text)
    ask_with_key(new.text)


def test_a_second_rotation_ends_the_first_text(ada: User) -> None:
    key, first = create_key(ada)
    second, third = rotate_key(key, HOUR), rotate_key(key, HOUR)
    with pytest.raises(InvalidKey):
        ask_with_key(first.text)
    ask_with_key(second.text)
    ask_with_key(third.text)


def test_revoking_ends_both_texts(ada: User) -> None:
    key, old = create_key(ada)
    new = rotate_key(key, HOUR)
    revoke(key)
    for text in (old.text, new.text):
        with pytest.raises(InvalidKey):
            ask_with_key(text)


def test_an_overlap_does_not_outlive_the_key(ada: User, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(dt.datetime(2026, 12, 1, tzinfo=dt.UTC), tick=False)
    key, old = create_key(ada, expires_at=timezone.now() + HOUR)
    rotate_key(key, 24 * HOUR)
    time_machine.shift(3600)
    with pytest.raises(InvalidKey):
        ask_with_key(old.text)


def test_an_inactive_user_opens_nothing(ada: User) -> None:
    key, token = create_key(ada)[1], create_token(ada)[1]
    User.objects.filter(pk=ada.pk).update(is_active=False)
    with pytest.raises(InvalidKey):
        ask_with_key(key.text)
    with pytest.raises(InvalidToken):
        ask_with_token(token.text)


def test_a_deleted_user_opens_nothing(ada: User) -> None:
    key, token = create_key(ada)[1], create_token(ada)[1]
    ada.delete()
    with pytest.raises(InvalidKey):
        ask_with_key(key.text)
    with pytest.raises(InvalidToken):
        ask_with_token(token.text)


def test_who_has_confirmed_an_address_is_verified(ada: User, eve: User) -> None:
    member = ask_with_key(create_key(ada)[1].text)
    member.require_verified()
    EmailAddress.objects.create(user=eve, email=eve.email, verified=False, primary=True)
    for member in (
        ask_with_key(create_key(eve)[1].text),
        ask_with_token(create_token(eve)[1].text),
    ):
        assert not member.is_verified
        with pytest.raises(EmailNotVerified):
            member.require_verified()


def test_a_use_is_noted_at_most_once_a_minute(ada: User, time_machine: TimeMachineFixture) -> None:
    began = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    time_machine.move_to(began, tick=False)
    key, secret = create_key(ada)
    token, tokens = create_token(ada)
    assert fresh(key).last_used_at is fresh(token).last_used_at is None
    for second in (0, 1, 59):
        time_machine.move_to(began + dt.timedelta(seconds=second), tick=False)
        ask_with_key(secret.text)
        ask_with_token(tokens.text)
    assert fresh(key).last_used_at == fresh(token).last_used_at == began
    later = began + NOTE_USE_EVERY + dt.timedelta(seconds=1)
    time_machine.move_to(later, tick=False)
    ask_with_key(secret.text)
    assert fresh(key).last_used_at == later


def test_a_refused_use_is_not_noted(ada: User) -> None:
    key, secret = create_key(ada, expires_at=timezone.now())
    with pytest.raises(InvalidKey):
        ask_with_key(secret.text)
    assert fresh(key).last_used_at is None


def test_a_key_in_use_costs_the_database_one_question(ada: User) -> None:
    _, secret = create_key(ada)
    ask_with_key(secret.text)
    with CaptureQueriesContext(connection) as queries:
        ask_with_key(secret.text).require_verified()
    assert len(queries) == 1


def test_many_at_once_are_all_let_in(ada: User) -> None:
    key, secret = create_key(ada)

    def run(_: int) -> bool:
        try:
            return ask_with_key(secret.text).payer.key_id == key.pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(run, range(24)))


def test_a_route_for_keys_alone_wants_a_key(ada: User) -> None:
    key, token = create_key(ada)[1], create_token(ada)[1]

    def request(**headers: str) -> Member:
        return member_with_key(RequestFactory().get("/api/membership-usage", headers=headers))

    assert request(**{"x-api-key": key.text}).payer.user_id == ada.pk
    with pytest.raises(InvalidKey):
        request()
    with pytest.raises(InvalidKey):
        request(Authorization=f"Bearer {token.text}")
    with pytest.raises(BothCredentials):
        request(**{"x-api-key": key.text, "Authorization": f"Bearer {token.text}"})


def test_a_route_for_tokens_alone_wants_a_token(ada: User) -> None:
    key, (token, secret) = create_key(ada)[1], create_token(ada)

    def found(**headers: str) -> Credential:
        return token_of(RequestFactory().delete("/api/user-token", headers=headers))

    assert found(Authorization=f"Bearer {secret.text}") == token
    with pytest.raises(InvalidToken):
        found()
    with pytest.raises(InvalidToken):
        found(**{"x-api-key": key.text})
    with pytest.raises(BothCredentials):
        found(**{"x-api-key": key.text, "Authorization": f"Bearer {secret.text}"})


def plan_and_period(balance: Balance) -> tuple[str, int | None, int | None]:
    return balance.plan.label, balance.period_start, balance.next_end


@pytest.mark.parametrize("how", ["key", "token"])
@pytest.mark.parametrize(
    ("status", "ends_at"), [("active", PERIOD.end), ("trialing", PERIOD.end), ("past_due", None)]
)
def test_who_did_not_renew_is_on_the_free_plan_from_the_first_second_on(
    ada: User, time_machine: TimeMachineFixture, how: str, status: str, ends_at: int | None
) -> None:
    time_machine.move_to(ENDS - dt.timedelta(milliseconds=1), tick=False)
    key, token = create_key(ada)[1].text, create_token(ada)[1].text
    paying(ada, PERIOD, status=status, ends_at=ends_at)
    for _ in range(2):
        member = ask_with_key(key) if how == "key" else ask_with_token(token)
        assert plan_and_period(member.balance) == ("Pro-5000", PERIOD.start, None)
    time_machine.move_to(ENDS, tick=False)
    entries = []
    for _ in range(2):
        member = ask_with_key(key) if how == "key" else ask_with_token(token)
        assert plan_and_period(member.balance) == ("Free", None, None)
        assert member.balance == fresh(member.balance)
        assert member.balance.head == fresh(member.balance).head
        entries.append(LedgerEntry.objects.count())
    assert entries[0] == entries[1]


def test_who_renews_goes_on_without_a_word(ada: User, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(BEGAN, tick=False)
    secret = create_key(ada)[1].text
    paying(ada, PERIOD)
    entries = LedgerEntry.objects.count()
    after = int(dt.datetime(2027, 1, 16, tzinfo=dt.UTC).timestamp())
    for days in (29, 30, 60, 61, 100):
        time_machine.move_to(BEGAN + dt.timedelta(days=days), tick=False)
        member = ask_with_key(secret)
        assert plan_and_period(member.balance) == ("Pro-5000", PERIOD.start, after)
    assert LedgerEntry.objects.count() == entries


def test_who_was_told_to_end_and_renewed_after_all_goes_on(
    ada: User, time_machine: TimeMachineFixture
) -> None:
    # The event of the renewal was merged, and the account has not been looked at since.
    secret = create_key(ada)[1].text
    time_machine.move_to(BEGAN, tick=False)
    paying(ada, PERIOD, ends_at=PERIOD.end)
    Subscription.objects.update(ends_at=None)
    time_machine.move_to(ENDS, tick=False)
    balance = ask_with_key(secret).balance
    assert (balance.plan.label, balance.period_end) == ("Pro-5000", PERIOD.end)
    assert balance.next_end is not None


def test_an_account_with_a_running_period_costs_no_query_more(
    ada: User, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(BEGAN, tick=False)
    secret = create_key(ada)[1].text
    ask_with_key(secret)
    paying(ada, PERIOD, ends_at=PERIOD.end)
    with CaptureQueriesContext(connection) as queries:
        ask_with_key(secret)
    assert len(queries) == 1


def test_an_account_that_goes_while_its_period_ends_is_gone(ada: User) -> None:
    paying(ada, PERIOD, ends_at=PERIOD.end)
    balance = Balance.objects.select_related("plan").get(pk=ada.pk)
    ada.delete()
    with pytest.raises(AccountGone):
        asking.present_balance(balance, ENDS)


def test_requests_at_once_end_a_period_once(ada: User, time_machine: TimeMachineFixture) -> None:
    secret = create_key(ada)[1].text
    time_machine.move_to(BEGAN, tick=False)
    paying(ada, PERIOD, ends_at=PERIOD.end)
    entries = LedgerEntry.objects.count()
    time_machine.move_to(ENDS, tick=False)

    def plan(_number: int) -> str:
        try:
            return ask_with_key(secret).balance.plan.label
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(plan, range(8))) == ["Free"] * 8
    events = LedgerEntry.objects.order_by("number").values_list("event", flat=True)
    assert list(events)[entries:] == ["plan", "period"]
