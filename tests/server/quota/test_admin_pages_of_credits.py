"""What staff see and do on the admin pages of plans and credits; the log-in has its own tests."""

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from staff import logged_in

from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Plan
from openrembg.server.quota import ledger, spending
from openrembg.server.quota.models import Balance, LedgerEntry
from openrembg.server.quota.verify import mismatches

pytestmark = pytest.mark.usefixtures("database")

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
# A plan's form has its prices below it.
NO_PRICES = {"prices-TOTAL_FORMS": 0, "prices-INITIAL_FORMS": 0}
PAGES = {
    "billing/plan": "Free",
    "quota/balance": "ada@example.com",
    "quota/window": "ada@example.com",
    "quota/day": "ada@example.com",
    "quota/reservation": "ada@example.com",
    "quota/ledgerentry": "ada@example.com",
}


@pytest.fixture
def ada() -> User:
    """A user who has used two credits and holds a third."""
    user = User.objects.create_user("ada@example.com")
    ledger.top_up(user.pk, 10, note="a gift")
    payer = spending.Payer(user.pk, "app")
    for _ in range(2):
        spending.charge(spending.reserve(payer, NOW, dt.timedelta(minutes=2)), NOW)
    spending.reserve(payer, NOW, dt.timedelta(minutes=2))
    return user


@pytest.fixture
def staff() -> Client:
    """An operator who has logged in with a second factor."""
    return logged_in(User.objects.create_superuser("op@example.com"))


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def change(client: Client, user: User, **fields: object) -> Any:
    path = f"/admin/quota/balance/{user.pk}/change/"
    return client.post(path, {"note": "", **fields}, follow=True)


def prepaid(user: User) -> int:
    return Balance.objects.get(pk=user.pk).prepaid


@pytest.mark.parametrize("page", PAGES)
def test_staff_see_each_list_and_each_row(staff: Client, ada: User, page: str) -> None:
    seen = text(staff.get(f"/admin/{page}/"))
    assert PAGES[page] in seen
    assert PAGES[page] in text(staff.get(f"/admin/{page}/?q={PAGES[page]}"))
    first = seen.split(f'href="/admin/{page}/')[-1].split("/change/")[0]
    assert text(staff.get(f"/admin/{page}/{first}/change/"))


@pytest.mark.parametrize("page", PAGES)
def test_nobody_else_sees_them(ada: User, page: str) -> None:
    for client in (Client(), logged_in(ada)):
        answer = client.get(f"/admin/{page}/")
        assert (answer.status_code, b"ada@example.com" in answer.content) != (200, True)
        assert answer.status_code in (302, 403)


@pytest.mark.parametrize("page", ["window", "day", "reservation", "ledgerentry", "balance"])
def test_no_row_is_added_or_deleted_by_hand(staff: Client, ada: User, page: str) -> None:
    seen = text(staff.get(f"/admin/quota/{page}/"))
    row = seen.split(f'href="/admin/quota/{page}/')[-1].split("/change/")[0]
    assert staff.get(f"/admin/quota/{page}/add/").status_code == 403
    assert staff.post(f"/admin/quota/{page}/{row}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": row, "post": "yes"}
    staff.post(f"/admin/quota/{page}/", action)
    assert row in text(staff.get(f"/admin/quota/{page}/"))


@pytest.mark.parametrize("page", ["window", "day", "reservation", "ledgerentry"])
def test_what_was_counted_is_read_only(staff: Client, ada: User, page: str) -> None:
    row = text(staff.get(f"/admin/quota/{page}/")).split(f'href="/admin/quota/{page}/')[-1]
    path = f"/admin/quota/{page}/{row.split('/change/')[0]}/change/"
    assert 'name="_save"' not in text(staff.get(path))
    assert staff.post(path, {"app": "0", "prepaid": "0"}).status_code == 403
    assert list(mismatches(ada.pk)) == []


def test_staff_grant_credits_and_the_ledger_says_who(staff: Client, ada: User) -> None:
    change(staff, ada, grant=5, note="sorry")
    entry = LedgerEntry.objects.latest("pk")
    assert (entry.event, entry.prepaid, entry.note) == ("top_up", 5, "op@example.com: sorry")
    assert prepaid(ada) == 15
    assert list(mismatches(ada.pk)) == []


def test_staff_take_credits_back_but_not_more_than_there_are(staff: Client, ada: User) -> None:
    assert "10 credits were taken." in text(change(staff, ada, take_back=99))
    assert prepaid(ada) == 0
    assert list(mismatches(ada.pk)) == []


def test_staff_give_a_plan(staff: Client, ada: User) -> None:
    change(staff, ada, new_plan=Plan.objects.get(label="Pro-5000").pk)
    assert Balance.objects.get(pk=ada.pk).plan.label == "Pro-5000"
    assert LedgerEntry.objects.latest("pk").event == "plan"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Say what is to be done."),
        ({"grant": 1, "take_back": 1}, "Do one thing at a time."),
        ({"grant": 0}, "greater than or equal to 1"),
        ({"grant": -5}, "greater than or equal to 1"),
        ({"grant": 10**12 + 1}, "less than or equal to 1000000000000"),
        ({"grant": 1, "note": "x" * 256}, "at most 255 characters"),
        ({"new_plan": 999}, "not one of the available choices"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(
    staff: Client, ada: User, fields: dict[str, object], said: str
) -> None:
    assert said in text(change(staff, ada, **fields))
    assert (prepaid(ada), LedgerEntry.objects.count()) == (10, 3)


def test_numbers_of_a_balance_are_not_written_by_hand(staff: Client, ada: User) -> None:
    change(staff, ada, grant=1, prepaid=10**6, prepaid_held=0, entries=0, head="x")
    assert prepaid(ada) == 11
    assert list(mismatches(ada.pk)) == []


def test_a_balance_that_is_not_there_is_no_crash(staff: Client) -> None:
    for number in ("999", "x", "_5F"):
        answer = staff.post(f"/admin/quota/balance/{number}/change/", {"grant": 1}, follow=True)
        assert answer.status_code in (200, 404)


def test_staff_grant_while_servers_charge(ada: User) -> None:
    operator = User.objects.create_superuser("op@example.com")
    ledger.set_plan(ada.pk, Plan.objects.get(label="Premium-20000"))
    over = threading.Event()

    def grant() -> None:
        client = logged_in(operator)
        for _ in range(4):
            change(client, ada, grant=1)
        connections.close_all()

    def charge() -> None:
        while not over.is_set():
            payer = spending.Payer(ada.pk, "app")
            spending.charge(spending.reserve(payer, NOW, dt.timedelta(minutes=2)), NOW)
        connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        charging = [pool.submit(charge) for _ in range(2)]
        granting = [pool.submit(grant) for _ in range(2)]
        try:
            for work in granting:
                work.result(timeout=20)
        finally:
            over.set()
        for work in charging:
            work.result()
    assert prepaid(ada) == 18
    assert list(mismatches(ada.pk)) == []


def test_staff_make_and_change_plans(staff: Client, ada: User) -> None:
    monthly = {"interval": "month", **NO_PRICES}
    new = {"label": "Two", "credits": 2, "per_minute": -1, **monthly}
    staff.post("/admin/billing/plan/add/", new)
    plan = Plan.objects.get(label="Two")
    path = f"/admin/billing/plan/{plan.pk}/change/"
    staff.post(path, {"label": "Three", "credits": 3, "per_minute": 5, **monthly})
    plan.refresh_from_db()
    assert (plan.label, plan.credits, plan.per_minute) == ("Three", 3, 5)
    assert "greater than or equal" in text(staff.post(path, {"label": "a", "credits": -1}))
    wrong = {"label": "a", "credits": 1, "per_minute": -2, **monthly}
    assert "plan_limit_is_a_limit" in text(staff.post(path, wrong))


def test_the_free_plan_keeps_its_name_and_stays(staff: Client) -> None:
    free = Plan.objects.get(label="Free")
    Balance.objects.update(plan=Plan.objects.get(label="Pro-5000"))
    path = f"/admin/billing/plan/{free.pk}"
    form = {"label": "Other", "credits": 51, "per_minute": 20, "interval": "month", **NO_PRICES}
    staff.post(f"{path}/change/", form)
    assert staff.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": str(free.pk), "post": "yes"}
    assert staff.post("/admin/billing/plan/", action).status_code == 403
    free.refresh_from_db()
    assert (free.label, free.credits) == ("Free", 51)


def test_a_plan_that_somebody_has_cannot_be_deleted(staff: Client, ada: User) -> None:
    plan = Plan.objects.get(label="Pro-5000")
    ledger.set_plan(ada.pk, plan)
    seen = text(staff.post(f"/admin/billing/plan/{plan.pk}/delete/", {"post": "yes"}))
    assert "Cannot delete plan" in seen
    assert Plan.objects.filter(pk=plan.pk).exists()


def test_the_ledger_is_searched_by_address_number_and_reference(staff: Client, ada: User) -> None:
    bob = User.objects.create_user("bob@example.com")
    ledger.top_up(bob.pk, 1, reference="pi_1")
    for term in ("bob@", str(bob.pk), "pi_1"):
        seen = text(staff.get("/admin/quota/ledgerentry/", {"q": term}))
        assert ("bob@example.com" in seen, "ada@example.com" in seen) == (True, False)
    number = bob.pk
    bob.delete()
    seen = text(staff.get("/admin/quota/ledgerentry/", {"q": "pi_1"}))
    assert f"deleted user {number}" in seen


def test_a_page_of_the_ledger_asks_the_database_a_few_questions(
    staff: Client, ada: User, django_assert_max_num_queries: Any
) -> None:
    for _ in range(20):
        ledger.top_up(ada.pk, 1)
    with django_assert_max_num_queries(12):
        staff.get("/admin/quota/ledgerentry/")
