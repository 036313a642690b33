"""A period that begins by itself because Stripe says nothing yet: shown, enforced, then told.

Each test reads the usage from the database alone, and through Redis.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client
from rmbg_client import send

from openrembg.server.billing.models import Plan
from openrembg.server.errors import MonthlyLimit
from openrembg.server.quota import ledger, spending
from openrembg.server.quota.ledger import Term
from openrembg.server.quota.models import Window
from openrembg.server.quota.spending import Hold
from openrembg.server.quota.verify import mismatches
from openrembg.server.quota.windows import Period
from people import Person, person, subscribe
from services import Service

pytestmark = pytest.mark.usefixtures("database", "source")

PATH = "/api/membership-usage"
MS = dt.timedelta(milliseconds=1)
LASTS = dt.timedelta(minutes=2)


def unix(*date: int) -> int:
    return int(dt.datetime(*date, tzinfo=dt.UTC).timestamp())  # type: ignore[misc]


def at(second: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(second, dt.UTC)


OCTOBER, NOVEMBER, DECEMBER = unix(2026, 10, 16), unix(2026, 11, 16), unix(2026, 12, 16)
TOLD, PROVISIONAL = Period(OCTOBER, NOVEMBER), Period(NOVEMBER, DECEMBER)
DURING = at(NOVEMBER + 5 * 86400)


@pytest.fixture(params=["database", "redis"])
def source(request: pytest.FixtureRequest, furnish: Any) -> str:
    """Where the numbers come from."""
    if request.param == "redis":
        redis: Service = request.getfixturevalue("redis")
        furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")
    return str(request.param)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """The present: the subscription was last heard of in the period before."""
    with time_machine.travel(DURING, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ada() -> Person:
    """Somebody with 3 credits a period, who used 2 in the one that Stripe told."""
    ada = person(credits_=3)
    subscribe(ada.user.pk, TOLD, next_end=DECEMBER, at=at(OCTOBER))
    spend(ada, at(OCTOBER))
    spend(ada, at(NOVEMBER) - MS)
    return ada


def reserve(somebody: Person, moment: dt.datetime) -> Hold:
    return spending.reserve(somebody.by_key, moment, LASTS)


def spend(somebody: Person, moment: dt.datetime = DURING) -> str:
    return spending.charge(reserve(somebody, moment), moment)


def renew(somebody: Person, period: Period, credits_: int) -> None:
    """Do what the webhook does when Stripe tells of a period at last."""
    with ledger.changing(somebody.user.pk):
        ledger.write_window(somebody.user.pk, period, credits_)
        next_end = period.end + (period.end - period.start)
        ledger.follow(somebody.user.pk, Term(None, period, next_end))


def ask(client: Client, somebody: Person, **parameters: object) -> Any:
    answer = client.get(PATH, parameters, headers=somebody.with_key)
    assert answer.status_code == 200, answer.content
    return answer.json()


def cycle_of(client: Client, somebody: Person, **parameters: object) -> Any:
    return ask(client, somebody, expand="billing_cycle", **parameters)["billingCycle"]


def listed(client: Client, somebody: Person) -> list[tuple[int, int, int]]:
    """Return start, end and use by keys of each period that is listed."""
    cycles = ask(client, somebody, listBillingCycles="1")["billingCycles"]
    return [(one["periodStartUnix"], one["periodEndUnix"], one["apiUsage"]) for one in cycles]


def books_of(somebody: Person) -> list[str]:
    return list(mismatches(somebody.user.pk))


@pytest.mark.parametrize(
    ("moment", "start", "end", "used", "synced"),
    [
        (at(NOVEMBER) - MS, OCTOBER, NOVEMBER, 2, True),
        (at(NOVEMBER), NOVEMBER, DECEMBER, 0, True),
        (at(NOVEMBER + 1), NOVEMBER, DECEMBER, 0, True),
        (at(DECEMBER) - MS, NOVEMBER, DECEMBER, 0, True),
        (at(DECEMBER), unix(2026, 12, 1), unix(2027, 1, 1) - 1, 0, False),
    ],
)
def test_it_lasts_from_the_old_end_for_one_interval(
    client: Client,
    clock: time_machine.Traveller,
    ada: Person,
    moment: dt.datetime,
    start: int,
    end: int,
    used: int,
    synced: bool,
) -> None:
    clock.move_to(moment)
    cycle = cycle_of(client, ada)
    assert (cycle["periodStartUnix"], cycle["periodEndUnix"]) == (start, end)
    assert (cycle["apiUsage"], cycle["includedCredits"]) == (used, 3)
    assert cycle["remainingIncludedCredits"] == 3 - used
    assert cycle["stripeBillingSynced"] == synced
    assert ask(client, ada)["membership"] == "plan of ada@example.com"


def test_without_any_news_the_plan_stays_and_months_count(
    client: Client, clock: time_machine.Traveller, ada: Person
) -> None:
    spend(ada)
    clock.move_to(at(DECEMBER))
    for _ in range(3):
        assert spend(ada, at(DECEMBER)) == "included"
    with pytest.raises(MonthlyLimit):
        reserve(ada, at(DECEMBER))
    cycle = cycle_of(client, ada)
    assert (cycle["apiUsage"], cycle["stripeBillingSynced"]) == (3, False)
    # Nobody told where the provisional one ended.
    assert listed(client, ada) == [(NOVEMBER, DECEMBER - 1, 1), (OCTOBER, NOVEMBER - 1, 2)]
    assert not cycle_of(client, ada, periodStartUnix=NOVEMBER)["stripeBillingSynced"]
    assert books_of(ada) == []


def test_every_mode_shows_the_window_that_is_enforced(
    client: Client, clock: time_machine.Traveller, ada: Person
) -> None:
    for moment in (at(NOVEMBER) - MS, at(NOVEMBER), DURING, at(DECEMBER) - MS):
        clock.move_to(moment)
        window = spending.left(ada.by_key, ada.balance(), moment).window
        while True:
            left = spending.left(ada.by_key, ada.balance(), moment)
            cycle = cycle_of(client, ada)
            assert Period(cycle["periodStartUnix"], cycle["periodEndUnix"]) == window
            assert cycle["remainingIncludedCredits"] == left.included
            assert cycle_of(client, ada, periodStartUnix=window.start) == cycle
            assert ask(client, ada, periodStartUnix=window.start)["api_usage"] == cycle["apiUsage"]
            assert (window.start, window.end, cycle["apiUsage"]) in listed(client, ada)
            if left.is_nothing:
                break
            spend(ada, moment)
        with pytest.raises(MonthlyLimit):
            reserve(ada, moment)
        assert cycle["apiUsage"] == 3
    assert books_of(ada) == []


def test_a_picture_costs_a_credit_of_it(client: Client, ada: Person) -> None:
    answer = send(client, headers=ada.with_key)
    assert (answer.status_code, answer.headers["X-Credits-Charged"]) == (200, "1")
    assert f'"credits";q=3;w={DECEMBER - NOVEMBER}' in answer.headers["RateLimit-Policy"]
    assert answer.headers["X-RateLimit-Remaining"] == "2"
    assert int(answer.headers["X-RateLimit-Reset"]) == DECEMBER + 1
    assert cycle_of(client, ada)["apiUsage"] == 1
    assert Window.objects.get(kind="cycle", start=NOVEMBER).api == 1


def test_it_is_listed_without_use_and_ends_the_one_before(client: Client, ada: Person) -> None:
    assert listed(client, ada) == [(NOVEMBER, DECEMBER, 0), (OCTOBER, NOVEMBER - 1, 2)]
    told = cycle_of(client, ada, periodStartUnix=OCTOBER)
    assert (told["periodEndUnix"], told["stripeBillingSynced"]) == (NOVEMBER - 1, True)


def test_what_was_used_of_it_is_the_real_ones_use(client: Client, ada: Person) -> None:
    spend(ada)
    held = reserve(ada, DURING)
    renew(ada, PROVISIONAL, 5)
    cycle = cycle_of(client, ada)
    assert (cycle["apiUsage"], cycle["includedCredits"]) == (1, 5)
    assert cycle["stripeBillingSynced"]
    assert spending.left(ada.by_key, ada.balance(), DURING).included == 3
    spending.charge(held, DURING)
    assert [spend(ada) for _ in range(3)] == ["included"] * 3
    with pytest.raises(MonthlyLimit):
        reserve(ada, DURING)
    assert listed(client, ada) == [(NOVEMBER, DECEMBER, 5), (OCTOBER, NOVEMBER - 1, 2)]
    assert books_of(ada) == []


def test_more_used_of_it_than_the_real_one_includes_is_forgiven(
    client: Client, ada: Person
) -> None:
    for _ in range(3):
        spend(ada)
    renew(ada, PROVISIONAL, 1)
    cycle = cycle_of(client, ada)
    assert (cycle["usedIncludedCredits"], cycle["remainingIncludedCredits"]) == (3, 0)
    with pytest.raises(MonthlyLimit):
        reserve(ada, DURING)
    assert books_of(ada) == []


def test_a_real_one_that_begins_elsewhere_leaves_it_in_the_list(
    client: Client, ada: Person
) -> None:
    spend(ada)
    start = NOVEMBER + 86400
    renew(ada, Period(start, DECEMBER + 86400), 3)
    assert cycle_of(client, ada)["apiUsage"] == 0
    assert listed(client, ada) == [
        (start, DECEMBER + 86400, 0),
        (NOVEMBER, start - 1, 1),
        (OCTOBER, NOVEMBER - 1, 2),
    ]
    assert books_of(ada) == []


@pytest.mark.parametrize("is_told", [True, False])
def test_a_picture_of_the_last_moment_counts_in_the_old_one(
    client: Client, clock: time_machine.Traveller, ada: Person, is_told: bool
) -> None:
    clock.move_to(at(NOVEMBER) - MS)
    held = reserve(ada, at(NOVEMBER) - MS)
    clock.move_to(at(NOVEMBER + 1))
    if is_told:
        renew(ada, PROVISIONAL, 3)
    assert spending.charge(held, at(NOVEMBER) - MS) == "included"
    assert listed(client, ada) == [(NOVEMBER, DECEMBER, 0), (OCTOBER, NOVEMBER - 1, 3)]
    assert spending.left(ada.by_key, ada.balance(), at(NOVEMBER + 1)).included == 3
    assert books_of(ada) == []


def test_a_picture_that_outlived_its_reservation_counts_in_the_old_one(
    client: Client, ada: Person
) -> None:
    last = at(NOVEMBER) - MS
    held = reserve(ada, last)
    assert spending.release_overdue(last + LASTS) == 1
    renew(ada, PROVISIONAL, 3)
    assert spending.charge(held, last) == "included"
    assert listed(client, ada) == [(NOVEMBER, DECEMBER, 0), (OCTOBER, NOVEMBER - 1, 3)]
    assert books_of(ada) == []


def test_a_subscription_that_is_over_meanwhile_leaves_what_was_used(
    client: Client, ada: Person
) -> None:
    spend(ada)
    held = reserve(ada, DURING)
    assert ledger.leave(ada.user.pk)
    spending.charge(held, DURING)
    cycle = cycle_of(client, ada)
    assert (cycle["periodStartUnix"], cycle["stripeBillingSynced"]) == (unix(2026, 11, 1), False)
    # In November: one at the end of the told period, two of the provisional one.
    assert (cycle["apiUsage"], cycle["includedCredits"]) == (3, 50)
    assert listed(client, ada) == [(NOVEMBER, DECEMBER - 1, 2), (OCTOBER, NOVEMBER - 1, 2)]
    assert books_of(ada) == []


def test_another_plan_applies_to_it_at_once(client: Client, ada: Person) -> None:
    spend(ada)
    ledger.set_plan(ada.user.pk, Plan.objects.get(label="Basic-1000"))
    cycle = cycle_of(client, ada)
    assert (cycle["includedCredits"], cycle["remainingIncludedCredits"]) == (1000, 999)
    assert cycle_of(client, ada, periodStartUnix=OCTOBER)["includedCredits"] == 3
