"""What is granted, taken back and told: an entry for each change, and none for none."""

import datetime as dt
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from databases import fresh
from openrembg.server.billing.models import Plan
from openrembg.server.errors import AccountGone
from openrembg.server.quota import ledger, spending
from openrembg.server.quota.ledger import Term
from openrembg.server.quota.models import Balance, LedgerEntry, Window
from openrembg.server.quota.spending import Hold, Payer
from openrembg.server.quota.verify import mismatches
from openrembg.server.quota.windows import Period
from people import Person, person, subscribe

pytestmark = pytest.mark.usefixtures("database")

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
TODAY = int(NOW.timestamp())
HOUR_S = 3600
PERIOD = Period(TODAY, TODAY + HOUR_S)
NEXT_END = TODAY + 2 * HOUR_S


def reserve(payer: Payer, now: dt.datetime = NOW) -> Hold:
    return spending.reserve(payer, now, dt.timedelta(minutes=1))


def spend(payer: Payer, now: dt.datetime = NOW) -> str:
    return spending.charge(reserve(payer, now), now)


def later(seconds: int) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def events(somebody: Person) -> list[str]:
    entries = LedgerEntry.objects.filter(user_id=somebody.user.pk)
    return list(entries.order_by("number").values_list("event", flat=True))


def told(somebody: Person) -> tuple[str, int | None, int | None, int | None]:
    """Return what the user's balance says of plan and period."""
    balance = somebody.balance()
    return balance.plan.label, balance.period_start, balance.period_end, balance.next_end


def test_a_new_user_has_the_free_plan_and_nothing_prepaid() -> None:
    balance = person().balance()
    assert (balance.plan.label, balance.plan.credits, balance.prepaid) == ("Free", 50, 0)


def test_a_plan_applies_at_once_to_the_present_period() -> None:
    ada = person(credits_=1)
    start = int(NOW.timestamp())
    subscribe(ada.user.pk, Period(start, start + 3600))
    spend(ada.by_key)
    ledger.set_plan(ada.user.pk, Plan.objects.get(label="Basic-1000"), at=NOW)
    assert spend(ada.by_key) == "included"
    assert Window.objects.get(kind="cycle").credits == 1000


def test_a_payment_tops_up_once() -> None:
    ada = person()
    assert ledger.top_up(ada.user.pk, 100, reference="pi_1")
    assert not ledger.top_up(ada.user.pk, 100, reference="pi_1")
    assert ledger.top_up(ada.user.pk, 5)
    assert ledger.top_up(ada.user.pk, 5)
    assert ada.balance().prepaid == 110


def test_no_more_is_taken_back_than_there_is_and_nothing_that_is_held() -> None:
    ada = person(credits_=0, prepaid=3)
    hold = reserve(ada.by_key)
    assert ledger.take_back(ada.user.pk, 10, reference="re_1") == 2
    assert ledger.take_back(ada.user.pk, 10, reference="re_1") == 0
    assert spending.charge(hold, NOW) == "prepaid"
    assert ada.balance().prepaid == 0


@pytest.mark.parametrize("change", [ledger.top_up, ledger.take_back])
@pytest.mark.parametrize("credits_", [0, -1])
def test_less_than_one_credit_is_no_change(change: object, credits_: int) -> None:
    ada = person()
    with pytest.raises(ValueError, match="least one credit"):
        change(ada.user.pk, credits_)  # type: ignore[operator]


def test_nothing_changes_an_entry() -> None:
    ada = person(prepaid=1)
    entry = LedgerEntry.objects.get()
    entry.prepaid = 1000
    for change in (
        entry.save,
        entry.delete,
        LedgerEntry.objects.all().delete,
        lambda: LedgerEntry.objects.update(prepaid=1000),
    ):
        with pytest.raises(TypeError, match="append-only"):
            change()
    assert fresh(entry).prepaid == 1
    assert ada.balance().prepaid == 1


def test_the_database_itself_refuses_to_oversell() -> None:
    ada = person(prepaid=1)
    rows = Balance.objects.filter(pk=ada.user.pk)
    for wrong in ({"prepaid": -1}, {"prepaid_held": 2}, {"prepaid_held": -1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**wrong)


def test_a_plan_applies_at_once_to_a_provisional_period() -> None:
    ada = person(credits_=1)
    subscribe(ada.user.pk, PERIOD, next_end=NEXT_END, at=NOW)
    spend(ada.by_key, later(HOUR_S))
    ledger.set_plan(ada.user.pk, Plan.objects.get(label="Basic-1000"), at=later(HOUR_S))
    assert spend(ada.by_key, later(HOUR_S)) == "included"
    credits_ = Window.objects.filter(kind="cycle").values_list("start", "credits")
    assert dict(credits_) == {PERIOD.start: 1, PERIOD.end: 1000}


def test_who_waits_for_a_balance_gets_it_with_the_plan_that_it_has_then() -> None:
    ada = person(prepaid=1)
    plan = Plan.objects.create(label="Brand new", credits=9)
    waits = threading.Event()

    def look() -> str:
        waits.set()
        try:
            with ledger.changing(ada.user.pk) as balance:
                return balance.plan.label
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with ledger.changing(ada.user.pk):
            ledger.set_plan(ada.user.pk, plan)
            looking = pool.submit(look)
            waits.wait()
            time.sleep(0.3)
        assert looking.result() == "Brand new"


def test_a_user_who_follows_has_plan_and_period() -> None:
    ada = person()
    pro = Plan.objects.get(label="Pro-5000")
    ledger.follow(ada.user.pk, Term(pro, PERIOD, NEXT_END), note="Stripe", at=NOW)
    assert told(ada) == ("Pro-5000", PERIOD.start, PERIOD.end, NEXT_END)
    facts = LedgerEntry.objects.order_by("number").values_list(
        "event", "plan", "cycle_start", "cycle_end", "next_end", "note", "at"
    )
    assert list(facts) == [
        ("plan", "Pro-5000", None, None, None, "Stripe", NOW),
        ("period", "Pro-5000", PERIOD.start, PERIOD.end, NEXT_END, "Stripe", NOW),
    ]
    assert list(mismatches(ada.user.pk)) == []


def test_the_same_again_is_no_entry() -> None:
    ada = person()
    pro = Plan.objects.get(label="Pro-5000")
    for plan in (pro, pro, None):
        ledger.follow(ada.user.pk, Term(plan, PERIOD, NEXT_END))
        ledger.write_window(ada.user.pk, PERIOD, 5000)
    assert events(ada) == ["plan", "period", "window"]


@pytest.mark.parametrize(
    "term",
    [
        Term(None, Period(PERIOD.start, PERIOD.end + 1), NEXT_END),
        Term(None, Period(PERIOD.start - 1, PERIOD.end), NEXT_END),
        Term(None, PERIOD, NEXT_END + 1),
        Term(None, PERIOD, None),
    ],
)
def test_each_end_of_a_period_is_told(term: Term) -> None:
    ada = person()
    ledger.follow(ada.user.pk, Term(None, PERIOD, NEXT_END))
    ledger.follow(ada.user.pk, term)
    assert events(ada) == ["period", "period"]
    assert told(ada) == ("Free", term.period.start, term.period.end, term.next_end)
    assert list(mismatches(ada.user.pk)) == []


def test_another_plan_leaves_the_period_and_what_it_includes() -> None:
    ada = person()
    subscribe(ada.user.pk, PERIOD, next_end=NEXT_END, at=NOW)
    spend(ada.by_key)
    pro = Plan.objects.get(label="Pro-5000")
    ledger.follow(ada.user.pk, Term(pro, PERIOD, NEXT_END))
    assert events(ada) == ["window", "period", "charge", "plan"]
    window = Window.objects.get(kind="cycle")
    assert (window.credits, window.api) == (50, 1)


def test_who_leaves_is_on_the_free_plan_and_calendar_months() -> None:
    ada = person(credits_=9)
    subscribe(ada.user.pk, PERIOD, next_end=NEXT_END, at=NOW)
    assert ledger.leave(ada.user.pk, note="Stripe")
    assert told(ada) == ("Free", None, None, None)
    assert events(ada) == ["window", "period", "plan", "period"]
    assert not ledger.leave(ada.user.pk)
    assert len(events(ada)) == 4
    assert list(mismatches(ada.user.pk)) == []


def test_who_leaves_the_free_plan_keeps_it() -> None:
    ada = person()
    ledger.follow(ada.user.pk, Term(None, PERIOD, None))
    assert ledger.leave(ada.user.pk)
    assert events(ada) == ["period", "period"]


def test_who_never_had_a_period_keeps_the_plan_that_an_operator_gave() -> None:
    ada = person(credits_=9)
    assert not ledger.leave(ada.user.pk)
    assert ada.balance().plan.credits == 9
    assert events(ada) == []


def test_what_is_told_of_a_window_leaves_its_counters() -> None:
    ada = person(credits_=3)
    ledger.follow(ada.user.pk, Term(None, PERIOD, None))
    spend(ada.by_key)
    spend(ada.by_token)
    reserve(ada.by_key)
    ledger.write_window(ada.user.pk, PERIOD, 4)
    window = Window.objects.get(kind="cycle")
    assert (window.app, window.api, window.held) == (1, 1, 1)
    assert (window.end, window.credits, window.synced) == (PERIOD.end, 4, True)
    assert spend(ada.by_key) == "included"
    assert spending.left(ada.by_key, ada.balance(), NOW).included == 0
    assert list(mismatches(ada.user.pk)) == []


def test_every_change_of_a_window_is_an_entry() -> None:
    # The number of entries is the version of the copy in Redis: without one, that would be old.
    ada = person()
    later_end = Period(PERIOD.start, PERIOD.end + 1)
    for period, credits_ in ((PERIOD, 7), (PERIOD, 9), (later_end, 9), (later_end, None)):
        for _ in range(2):
            ledger.write_window(ada.user.pk, period, credits_, at=NOW)
    facts = LedgerEntry.objects.order_by("number").values_list(
        "event", "cycle_start", "cycle_end", "included", "at"
    )
    assert list(facts) == [
        ("window", PERIOD.start, PERIOD.end, 7, NOW),
        ("window", PERIOD.start, PERIOD.end, 9, NOW),
        ("window", PERIOD.start, PERIOD.end + 1, 9, NOW),
        ("window", PERIOD.start, PERIOD.end + 1, 0, NOW),
    ]
    assert list(mismatches(ada.user.pk)) == []


def test_a_window_of_an_unknown_price_includes_what_the_plan_does() -> None:
    ada = person(credits_=1)
    ledger.follow(ada.user.pk, Term(None, PERIOD, None))
    ledger.write_window(ada.user.pk, PERIOD, None)
    spend(ada.by_key)
    assert spending.left(ada.by_key, ada.balance(), NOW).is_nothing
    ledger.follow(ada.user.pk, Term(Plan.objects.get(label="Basic-1000"), PERIOD, None))
    assert spending.left(ada.by_key, ada.balance(), NOW).included == 999


@pytest.mark.parametrize("next_end", [PERIOD.end, PERIOD.start])
def test_a_period_that_ends_before_it_begins_is_refused(next_end: int) -> None:
    ada = person()
    with pytest.raises(IntegrityError):
        ledger.follow(ada.user.pk, Term(None, PERIOD, next_end))
    assert told(ada) == ("Free", None, None, None)
    assert events(ada) == []


def test_nobody_who_is_gone_follows_or_leaves() -> None:
    ada = person()
    number = ada.user.pk
    ada.user.delete()
    with pytest.raises(AccountGone):
        ledger.follow(number, Term(None, PERIOD, None))
    with pytest.raises(AccountGone):
        ledger.leave(number)
    with pytest.raises(AccountGone):
        ledger.write_window(number, PERIOD, 1)
    assert not LedgerEntry.objects.exists()
