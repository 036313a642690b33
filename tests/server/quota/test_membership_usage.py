"""GET /api/membership-usage: each mode, from the database alone and through Redis."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client
from jsonschema import Draft202012Validator

from openrembg.server.accounts.keys import revoke
from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Plan
from openrembg.server.quota import ledger, spending
from openrembg.server.quota.models import Window
from openrembg.server.quota.windows import Period
from people import Person, person, subscribe
from services import Service

pytestmark = pytest.mark.usefixtures("database", "source")

PATH = "/api/membership-usage"
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def unix(*date: int) -> int:
    return int(dt.datetime(*date, tzinfo=dt.UTC).timestamp())  # type: ignore[misc]


OCTOBER, NOVEMBER, DECEMBER = unix(2026, 10, 16), unix(2026, 11, 16), unix(2026, 12, 16)
PERIOD = Period(NOVEMBER, DECEMBER)


@pytest.fixture(params=["database", "redis"])
def source(request: pytest.FixtureRequest, furnish: Any) -> str:
    """Where the numbers come from."""
    if request.param == "redis":
        redis: Service = request.getfixturevalue("redis")
        furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")
    return str(request.param)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def spend(somebody: Person, at: dt.datetime = NOW, times: int = 1, *, by_app: bool = False) -> None:
    payer = somebody.by_token if by_app else somebody.by_key
    for _ in range(times):
        spending.charge(spending.reserve(payer, at, dt.timedelta(minutes=1)), at)


def ask(client: Client, somebody: Person, **parameters: object) -> Any:
    answer = client.get(PATH, parameters, headers=somebody.with_key)
    assert answer.status_code == 200, answer.content
    return answer.json()


def counts(body: Any) -> tuple[int, int]:
    return body["app_usage"], body["api_usage"]


def test_a_new_user_has_the_free_plan(client: Client) -> None:
    assert ask(client, person()) == {
        "membership": "Free",
        "credits": 50,
        "prepaidCredits": 0,
        "app_usage": 0,
        "api_usage": 0,
    }


def test_the_present_month_is_the_default(client: Client) -> None:
    ada = person(prepaid=7)
    ledger.set_plan(ada.user.pk, Plan.objects.get(label="Premium-20000"))
    spend(ada, times=2)
    spend(ada, by_app=True)
    spend(ada, NOW - 30 * DAY, by_app=True)
    body = ask(client, ada)
    assert body == {
        "membership": "Premium-20000",
        "credits": 20000,
        "prepaidCredits": 7,
        "app_usage": 1,
        "api_usage": 2,
    }
    assert counts(ask(client, ada, year=2026, month=11)) == (1, 2)
    assert counts(ask(client, ada, month=10)) == (1, 0)
    assert counts(ask(client, ada, year=2025)) == (0, 0)
    assert counts(ask(client, ada, year="", month="")) == (1, 2)
    assert counts(ask(client, ada, year=1, month=1)) == (0, 0)


def test_months_end_at_midnight_in_utc(client: Client, clock: time_machine.Traveller) -> None:
    ada = person()
    december = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    new_year = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
    moment = dt.timedelta(milliseconds=1)
    for at in (december - moment, december, december, new_year - moment, new_year):
        spend(ada, at)
    assert [
        counts(ask(client, ada, year=year, month=month))[1]
        for year, month in ((2026, 11), (2026, 12), (2027, 1))
    ] == [1, 3, 1]
    clock.move_to(new_year - moment)
    assert counts(ask(client, ada)) == (0, 3)
    clock.move_to(new_year)
    assert counts(ask(client, ada)) == (0, 1)
    assert counts(ask(client, ada, month=12)) == (0, 0)


def test_a_period_is_asked_for_by_its_start(client: Client) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    spend(ada, times=3)
    assert counts(ask(client, ada, periodStartUnix=NOVEMBER)) == (0, 3)
    for unknown in (0, NOVEMBER - 1, NOVEMBER + 1, 9999999999):
        assert counts(ask(client, ada, periodStartUnix=unknown)) == (0, 0)


def test_the_billing_period_is_stripes(client: Client) -> None:
    ada = person(credits_=5, prepaid=2)
    subscribe(ada.user.pk, PERIOD)
    spend(ada, times=2)
    spend(ada, by_app=True)
    expected = {
        "periodStartUnix": NOVEMBER,
        "periodEndUnix": DECEMBER,
        "appUsage": 1,
        "apiUsage": 2,
        "includedCredits": 5,
        "prepaidCredits": 2,
        "usedIncludedCredits": 3,
        "remainingIncludedCredits": 2,
        "stripeBillingSynced": True,
    }
    assert ask(client, ada, expand="billing_cycle")["billingCycle"] == expected
    assert ask(client, ada, includeBillingCycle="1")["billingCycle"] == expected
    assert ask(client, ada, includeBillingCycle="True", year=2020)["billingCycle"] == expected
    assert "billingCycle" not in ask(client, ada)
    assert "billingCycle" not in ask(client, ada, includeBillingCycle="0", expand="other")


def test_without_stripe_the_billing_period_is_the_month(client: Client) -> None:
    ada = person()
    spend(ada, times=2)
    cycle = ask(client, ada, expand="billing_cycle")["billingCycle"]
    assert cycle == {
        "periodStartUnix": unix(2026, 11, 1),
        "periodEndUnix": unix(2026, 12, 1) - 1,
        "appUsage": 0,
        "apiUsage": 2,
        "includedCredits": 50,
        "prepaidCredits": 0,
        "usedIncludedCredits": 2,
        "remainingIncludedCredits": 48,
        "stripeBillingSynced": False,
    }


def test_a_period_begins_with_its_first_second_and_ends_before_its_last(
    client: Client, clock: time_machine.Traveller
) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    end = dt.datetime.fromtimestamp(DECEMBER, dt.UTC)
    spend(ada, end - dt.timedelta(milliseconds=1))
    clock.move_to(end - dt.timedelta(milliseconds=1))
    cycle = ask(client, ada, expand="billing_cycle")["billingCycle"]
    assert (cycle["periodStartUnix"], cycle["apiUsage"]) == (NOVEMBER, 1)
    clock.move_to(end)
    cycle = ask(client, ada, expand="billing_cycle")["billingCycle"]
    assert (cycle["periodStartUnix"], cycle["apiUsage"]) == (unix(2026, 12, 1), 1)
    assert not cycle["stripeBillingSynced"]


def test_a_smaller_plan_leaves_nothing_rather_than_less(client: Client) -> None:
    ada = person(credits_=3)
    spend(ada, times=3)
    ledger.set_plan(ada.user.pk, Plan.objects.create(label="Small", credits=1))
    cycle = ask(client, ada, expand="billing_cycle")["billingCycle"]
    assert (cycle["usedIncludedCredits"], cycle["remainingIncludedCredits"]) == (3, 0)


def test_an_older_period_has_the_allowance_that_it_had(client: Client) -> None:
    ada = person(credits_=5)
    october = dt.datetime.fromtimestamp(OCTOBER, dt.UTC)
    subscribe(ada.user.pk, Period(OCTOBER, NOVEMBER), at=october)
    spend(ada, october, times=2)
    subscribe(ada.user.pk, PERIOD)
    ledger.set_plan(ada.user.pk, Plan.objects.get(label="Pro-5000"))
    cycle = ask(client, ada, periodStartUnix=OCTOBER, expand="billing_cycle")["billingCycle"]
    assert (cycle["includedCredits"], cycle["remainingIncludedCredits"]) == (5, 3)
    assert (cycle["periodEndUnix"], cycle["stripeBillingSynced"]) == (NOVEMBER - 1, True)
    present = ask(client, ada, expand="billing_cycle")["billingCycle"]
    assert (present["includedCredits"], present["usedIncludedCredits"]) == (5000, 0)


def test_an_unknown_period_is_not_stripes(client: Client) -> None:
    cycle = ask(client, person(), periodStartUnix=OCTOBER, expand="billing_cycle")["billingCycle"]
    assert (cycle["includedCredits"], cycle["usedIncludedCredits"]) == (50, 0)
    assert not cycle["stripeBillingSynced"]


def test_periods_are_listed_newest_first(client: Client) -> None:
    ada = person()
    october = dt.datetime.fromtimestamp(OCTOBER, dt.UTC)
    subscribe(ada.user.pk, Period(OCTOBER, NOVEMBER), at=october)
    spend(ada, october, times=2)
    spend(ada, october, by_app=True)
    subscribe(ada.user.pk, PERIOD)
    assert ask(client, ada, listBillingCycles="1") == {
        "billingCycles": [
            {
                "periodStartUnix": NOVEMBER,
                "periodEndUnix": DECEMBER,
                "appUsage": 0,
                "apiUsage": 0,
            },
            {
                "periodStartUnix": OCTOBER,
                "periodEndUnix": NOVEMBER - 1,
                "appUsage": 1,
                "apiUsage": 2,
            },
        ]
    }


def test_a_list_ignores_every_other_parameter(client: Client) -> None:
    body = ask(client, person(), listBillingCycles="true", year="x", month=13, periodStartUnix="-")
    assert body == {"billingCycles": []}


def test_a_cancelled_period_stays_in_the_list(client: Client) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    spend(ada)
    ledger.leave(ada.user.pk)
    assert [
        (cycle["periodStartUnix"], cycle["periodEndUnix"])
        for cycle in ask(client, ada, listBillingCycles="1")["billingCycles"]
    ] == [(NOVEMBER, DECEMBER)]


def test_what_was_charged_a_moment_ago_is_told(client: Client) -> None:
    ada = person(credits_=2, prepaid=1)
    for used in range(3):
        assert counts(ask(client, ada)) == (0, min(2, used))
        spend(ada)
    body = ask(client, ada)
    assert (counts(body), body["prepaidCredits"]) == ((0, 2), 0)


def test_an_edited_plan_is_told(client: Client) -> None:
    ada = person(credits_=2)
    ask(client, ada)
    Plan.objects.filter(balances=ada.user.pk).update(label="Größer", credits=3)
    body = ask(client, ada)
    assert (body["membership"], body["credits"]) == ("Größer", 3)


def test_a_huge_number_is_told(client: Client) -> None:
    ada = person()
    Window.objects.create(user=ada.user, kind="month", start=unix(2026, 11, 1), api=10**17)
    ledger.top_up(ada.user.pk, 10**17)
    body = ask(client, ada)
    assert (body["prepaidCredits"], body["api_usage"]) == (10**17, 10**17)


def test_an_unverified_user_may_read(client: Client) -> None:
    assert ask(client, person(verified=False))["membership"] == "Free"


def test_only_the_owner_is_told(client: Client) -> None:
    ada, eve = person(), person("eve@example.com")
    operator = person("op@example.com")
    User.objects.filter(pk=operator.user.pk).update(is_staff=True, is_superuser=True)
    spend(ada, times=3)
    assert counts(ask(client, ada)) == (0, 3)
    assert counts(ask(client, eve)) == (0, 0)
    assert counts(ask(client, operator)) == (0, 0)


@pytest.mark.parametrize("key", [None, "", " ", "abc", "orbk_" + "0" * 38])
def test_nobody_is_told_without_a_key(client: Client, key: str | None) -> None:
    person()
    answer = client.get(PATH, headers={} if key is None else {"X-Api-Key": key})
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid api key"
    assert answer.headers["X-Credits-Charged"] == "0"


def test_a_revoked_key_tells_nothing(client: Client) -> None:
    ada = person()
    revoke(ada.key)
    assert client.get(PATH, headers=ada.with_key).status_code == 401


def test_a_logged_in_session_tells_nothing(client: Client) -> None:
    client.force_login(person().user, "allauth.account.auth_backends.AuthenticationBackend")
    assert client.get(PATH).status_code == 401


def test_a_user_token_opens_nothing_here(client: Client) -> None:
    ada = person()
    answer = client.get(PATH, headers=ada.with_token)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid api key")
    both = client.get(PATH, headers={**ada.with_token, **ada.with_key})
    assert (both.status_code, both.json()["error"]) == (
        400,
        "This is a mistake: Cannot use both API key and user token",
    )


def test_a_credential_is_asked_for_before_parameters_are_read(client: Client) -> None:
    assert client.get(PATH, {"month": 13}).status_code == 401


def test_wrong_parameters_are_told_in_one_shape(client: Client) -> None:
    ada = person()
    one = client.get(PATH, {"month": 13}, headers=ada.with_key)
    assert one.status_code == 400
    body = one.json()
    assert (body["error"], body["field"], body["status"]) == (
        "'month' must be at most 12, got: 13",
        "month",
        400,
    )
    several = client.get(PATH, {"month": "a", "year": 0}, headers=ada.with_key).json()
    assert (several["error"], several["status"]) == ("Multiple validation errors", 400)
    assert several["details"] == [
        {"field": "year", "message": "'year' must be at least 1, got: 0"},
        {"field": "month", "message": "'month' must be an integer, got: 'a'"},
    ]


def test_the_answer_is_kept_by_nobody(client: Client) -> None:
    ada = person()
    for path in (PATH, f"{PATH}/"):
        answer = client.get(path, headers=ada.with_key)
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Type"] == "application/json"
        head = client.head(path, headers=ada.with_key)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(len(answer.content))


def test_other_methods_are_not_answered(client: Client) -> None:
    answer = client.post(PATH, headers=person().with_key)
    assert (answer.status_code, answer.json()["status"]) == (405, 405)
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_thousands_of_periods_are_no_matter(client: Client) -> None:
    ada = person()
    starts = range(1_000_000_000, 1_000_000_000 + 2500)
    Window.objects.bulk_create(
        Window(user=ada.user, kind="cycle", start=start, api=1) for start in starts
    )
    subscribe(ada.user.pk, PERIOD)
    listed = ask(client, ada, listBillingCycles="1")["billingCycles"]
    assert len(listed) == 2501
    assert all(cycle["apiUsage"] == 1 for cycle in listed[1:])


@pytest.mark.parametrize(
    "parameters",
    [{}, {"expand": "billing_cycle"}, {"listBillingCycles": "1"}, {"month": "13"}],
)
def test_every_answer_is_as_described(client: Client, parameters: dict[str, str]) -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD)
    spend(ada)
    answer = client.get(PATH, parameters, headers=ada.with_key)
    description = client.get("/api/openapi").json()
    operation = description["paths"][PATH]["get"]
    media = operation["responses"][str(answer.status_code)]["content"]["application/json"]
    schema = {**media["schema"], "components": description["components"]}
    Draft202012Validator(schema).validate(answer.json())
    for example in media["examples"].values():
        Draft202012Validator(schema).validate(example["value"])
