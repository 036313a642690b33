"""What staff see and do on the admin pages of plans, packs and Stripe's events."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client, RequestFactory
from pytest_django.fixtures import Settings as DjangoSettings
from webhook_client import (
    NOW,
    SECRET,
    THIRD,
    Buyer,
    buyer,
    deliver,
    plan,
    plan_of,
    plans,
    prepaid,
    told,
    whole,
)

from openrembg.server.accounts.models import User
from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    CreditPack,
    Customer,
    Plan,
    Reversal,
    StripeEvent,
    Subscription,
)
from openrembg.server.settings import Settings

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.time_machine(NOW, tick=True)]

FACTS = {
    "stripeevent": StripeEvent,
    "customer": Customer,
    "subscription": Subscription,
    "checkout": Checkout,
    "reversal": Reversal,
}
PAGES = ["plan", "creditpack", *FACTS]


@pytest.fixture(autouse=True)
def _webhooks(settings: DjangoSettings) -> None:
    settings.OPENREMBG = Settings(
        data_dir=settings.OPENREMBG.data_dir, stripe_webhook_secret=SECRET
    )


@pytest.fixture
def staff() -> Client:
    """An operator who has logged in with a second factor."""
    return logged_in(User.objects.create_superuser("op@example.com"))


@pytest.fixture
def ada() -> Buyer:
    """A subscriber to Pro who bought 100 credits and got half of the money back."""
    plans()
    one = buyer()
    told(
        one.stripe.subscription_created(one.sub(price="price_pro"), created=THIRD),
        one.bought(),
        one.refunded(450),
    )
    return one


def logged_in(user: User) -> Client:
    Authenticator.objects.get_or_create(
        user=user, type=Authenticator.Type.TOTP, defaults={"data": {"secret": ""}}
    )
    client = Client()
    client.force_login(user)
    request = RequestFactory().get("/")
    request.session = client.session
    record_authentication(request, user, "mfa", type="totp")
    request.session.save()
    return client


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def offer(model: str = "plan", **fields: object) -> dict[str, object]:
    """Return the form of an offer."""
    form = {"label": "Gold", "credits": 7, "price_cents": "", "currency": "", "stripe_price_id": ""}
    if model == "plan":
        form |= {"per_minute": 300, "interval": "month"}
        form |= {"prices-TOTAL_FORMS": 0, "prices-INITIAL_FORMS": 0}
    return form | fields


def change(client: Client, page: str, pk: object, **fields: object) -> Any:
    return client.post(f"/admin/billing/{page}/{pk}/change/", fields, follow=True)


def parked(name: str = "parked") -> Buyer:
    """Return a user of whom nobody knows that the customer is theirs, who pays for Pro."""
    plans()
    one = buyer(linked=False)
    told(one.stripe.subscription_created(one.sub(price="price_pro"), created=THIRD))
    return one


@pytest.mark.parametrize("page", PAGES)
def test_staff_see_each_list_and_each_row(staff: Client, ada: Buyer, page: str) -> None:
    seen = text(staff.get(f"/admin/billing/{page}/"))
    first = seen.split(f'href="/admin/billing/{page}/')[-1].split("/change/")[0]
    assert text(staff.get(f"/admin/billing/{page}/{first}/change/"))
    assert text(staff.get(f"/admin/billing/{page}/?q=x"))


@pytest.mark.parametrize("page", PAGES)
def test_nobody_else_sees_or_changes_them(ada: Buyer, page: str) -> None:
    model = {**FACTS, "plan": Plan, "creditpack": CreditPack}[page]
    row = model._default_manager.latest("pk")
    lazy = Client()
    lazy.force_login(User.objects.create_superuser("lazy@example.com"))
    for client in (Client(), logged_in(ada.who.user), lazy):
        for path in ("", "add/", f"{row.pk}/change/", f"{row.pk}/delete/"):
            assert client.get(f"/admin/billing/{page}/{path}").status_code in (302, 403)
            answer = client.post(f"/admin/billing/{page}/{path}", {"label": "x", "post": "yes"})
            assert answer.status_code in (302, 403)
    assert model._default_manager.filter(pk=row.pk).exists()


@pytest.mark.parametrize("page", FACTS)
def test_what_stripe_told_is_neither_added_nor_changed_nor_deleted(
    staff: Client, ada: Buyer, page: str
) -> None:
    row = FACTS[page]._default_manager.latest("pk")
    before = FACTS[page]._default_manager.filter(pk=row.pk).values().get()
    path = f"/admin/billing/{page}"
    assert staff.get(f"{path}/add/").status_code == 403
    assert staff.post(f"{path}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    action = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    staff.post(f"{path}/", action)
    assert 'name="_save"' not in text(staff.get(f"{path}/{row.pk}/change/"))
    form = {"owner": "op@example.com", "brings": 5, "status": "active", "amount": 1}
    assert staff.post(f"{path}/{row.pk}/change/", form).status_code == 403
    assert FACTS[page]._default_manager.filter(pk=row.pk).values().get() == before


def test_an_event_is_shown_with_its_content_and_nothing_in_it_is_markup(
    staff: Client, ada: Buyer
) -> None:
    event = ada.stripe.customer_created("cus_1", created=THIRD, email="<script>alert(1)</script>")
    told(event)
    row = StripeEvent.objects.get(event_id=event["id"])
    seen = text(staff.get(f"/admin/billing/stripeevent/{row.pk}/change/"))
    assert "<script>alert" not in seen
    assert "&quot;email&quot;: &quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot;" in seen
    assert "\n  &quot;data&quot;: {\n" in seen


def test_content_that_is_forgotten_is_no_crash(staff: Client, ada: Buyer) -> None:
    StripeEvent.objects.update(payload="")
    row = StripeEvent.objects.latest("pk")
    assert row.event_id in text(staff.get(f"/admin/billing/stripeevent/{row.pk}/change/"))


def test_a_subscription_is_shown_with_its_periods(staff: Client, ada: Buyer) -> None:
    seen = text(staff.get(f"/admin/billing/subscription/{ada.named('sub')}/change/"))
    assert "price_pro" in seen
    assert "2026-03-10 12:00" in seen
    assert "1 × month" in seen
    assert ada.who.user.email in seen


@pytest.mark.parametrize(
    ("page", "terms"),
    [
        ("stripeevent", ("customer",)),
        ("customer", ("customer", "email")),
        ("subscription", ("customer", "email", "sub")),
        ("checkout", ("customer", "email", "cs", "pi")),
        ("reversal", ("ch", "pi")),
    ],
)
def test_rows_are_found_by_what_is_known_of_them(
    staff: Client, ada: Buyer, page: str, terms: tuple[str, ...]
) -> None:
    other = buyer()
    told(
        other.stripe.subscription_created(other.sub(), created=THIRD),
        other.bought(customer=other.customer),
        other.refunded(1),
    )
    for term in terms:
        known = {"email": other.who.user.email, "customer": other.customer}
        seen = text(staff.get(f"/admin/billing/{page}/", {"q": known.get(term, other.named(term))}))
        assert (other.mark in seen, ada.mark in seen.replace(other.mark, "")) == (True, False)


@pytest.mark.parametrize("page", FACTS)
def test_a_list_asks_the_database_a_few_questions(
    staff: Client, ada: Buyer, page: str, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        told(buyer().bought())
    # A customer's addresses and a refund's currency cost one more for each row.
    with django_assert_max_num_queries(20):
        staff.get(f"/admin/billing/{page}/")


@pytest.mark.parametrize("page", ["plan", "creditpack"])
def test_staff_make_and_price_an_offer(staff: Client, page: str) -> None:
    model: Any = Plan if page == "plan" else CreditPack
    form = offer(page, price_cents=4900, currency="eur", stripe_price_id=" price_gold ")
    assert "49.00 EUR" in text(staff.post(f"/admin/billing/{page}/add/", form, follow=True))
    made = model.objects.get(label="Gold")
    assert (made.currency, made.stripe_price_id) == ("EUR", "price_gold")
    change(staff, page, made.pk, **offer(page))
    made.refresh_from_db()
    assert (made.price_cents, made.currency, made.stripe_price_id) == (None, "", None)


def test_offers_without_a_price_do_not_stand_in_each_other_s_way(staff: Client) -> None:
    for label in ("One", "Two"):
        staff.post("/admin/billing/creditpack/add/", offer("creditpack", label=label))
    assert CreditPack.objects.filter(label__in=("One", "Two")).count() == 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"price_cents": 5}, "A price needs a currency."),
        ({"price_cents": -5, "currency": "EUR"}, "greater than or equal to 0"),
        ({"currency": "€"}, "A currency has three letters."),
        ({"currency": "ÄÖÜ"}, "A currency has three letters."),
        ({"stripe_price_id": "prod_1"}, "A price looks like price_1PbQyZ."),
        ({"stripe_price_id": "price_1 or so"}, "A price looks like price_1PbQyZ."),
        ({"stripe_price_id": "price_pro"}, "“Pro” is sold at this price already."),
        ({"label": "Pro"}, "already exists"),
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(
    staff: Client, fields: dict[str, object], said: str
) -> None:
    plans()
    CreditPack.objects.create(label="Pro", credits=1)
    for page in ("plan", "creditpack"):
        form = offer(page, **fields)
        assert said in text(staff.post(f"/admin/billing/{page}/add/", form))
    assert not Plan.objects.filter(label="Gold").exists()


def test_a_plan_may_keep_its_own_price(staff: Client) -> None:
    made = plan("Gold", 7, "price_gold")
    change(staff, "plan", made.pk, **offer(stripe_price_id="price_gold", credits=8))
    made.refresh_from_db()
    assert (made.credits, made.stripe_price_id) == (8, "price_gold")


def test_who_pays_a_new_price_has_the_plan_at_once(staff: Client) -> None:
    made, one = plan("Gold", 7), buyer()
    told(one.stripe.subscription_created(one.sub(price="price_gold"), created=THIRD))
    assert plan_of(one) == "Free"
    said = text(change(staff, "plan", made.pk, **offer(stripe_price_id="price_gold")))
    assert "1 account changed." in said
    assert plan_of(one) == "Gold"
    assert BillingPeriod.objects.get().credits == 7
    whole()


def test_a_plan_that_is_saved_as_it_is_changes_no_account(staff: Client) -> None:
    made = plan("Gold", 7, "price_gold")
    said = text(change(staff, "plan", made.pk, **offer(stripe_price_id="price_gold")))
    assert "changed." not in said.replace("was changed successfully", "")


def test_prices_are_given_while_events_come(staff: Client) -> None:
    made = [plan(f"Plan {n}", n + 1) for n in range(6)]
    buyers = [buyer() for _ in made]
    for n, one in enumerate(buyers):
        told(one.stripe.subscription_created(one.sub(price=f"price_{n}"), created=THIRD))
    over = threading.Event()

    def give(n: int) -> None:
        form = offer(label=f"Plan {n}", credits=n + 1, stripe_price_id=f"price_{n}")
        assert change(staff, "plan", made[n].pk, **form).status_code == 200
        connections.close_all()

    def send(one: Buyer) -> None:
        created = THIRD
        while not over.is_set():
            created += 1
            price = f"price_{buyers.index(one)}"
            event = one.stripe.subscription_updated(one.sub(price=price), created=created)
            assert deliver(event).status_code == 200
        connections.close_all()

    with ThreadPoolExecutor(5) as pool:
        sending = [pool.submit(send, one) for one in buyers[:3]]
        try:
            for work in [pool.submit(give, n) for n in range(len(made))]:
                work.result(timeout=60)
        finally:
            over.set()
        for work in sending:
            work.result()
    assert [plan_of(one) for one in buyers] == [f"Plan {n}" for n in range(len(made))]
    whole()


def test_a_waiting_customer_is_linked_to_a_user(staff: Client) -> None:
    one = parked()
    seen = text(staff.get("/admin/billing/customer/?waiting=yes"))
    assert one.customer in seen
    assert plan_of(one) == "Free"
    change(staff, "customer", one.customer, owner=one.who.user.email.upper())
    assert plan_of(one) == "Pro"
    assert one.customer not in text(staff.get("/admin/billing/customer/?waiting=yes"))
    entry = LogEntry.objects.get()
    assert (entry.user.email, one.who.user.email in entry.change_message) == (
        "op@example.com",
        True,
    )
    whole()


@pytest.mark.parametrize("owner", ["", "x", "nobody@example.com", "a@b.c\x00"])
def test_a_customer_is_not_linked_to_nobody(staff: Client, owner: str) -> None:
    one = parked()
    answer = change(staff, "customer", one.customer, owner=owner)
    assert "errorlist" in text(answer)
    assert Customer.objects.get().user is None


def test_a_customer_who_is_somebody_is_not_linked_again(staff: Client, ada: Buyer) -> None:
    other = buyer(linked=False)
    form = {"owner": other.who.user.email}
    answer = staff.post(f"/admin/billing/customer/{ada.customer}/change/", form)
    assert answer.status_code == 403
    assert Customer.objects.get(pk=ada.customer).user == ada.who.user


def test_a_customer_that_is_not_there_is_no_crash(staff: Client) -> None:
    form = {"owner": "op@example.com"}
    for name in ("cus_none", "_5F", "x/y"):
        answer = staff.post(f"/admin/billing/customer/{name}/change/", form, follow=True)
        assert answer.status_code in (200, 404)


def test_a_purchase_that_does_not_say_what_it_is_is_completed(staff: Client) -> None:
    one = buyer()
    told(one.bought(None), one.refunded(450))
    assert prepaid(one) == 0
    session = one.named("cs")
    assert session in text(staff.get("/admin/billing/checkout/?waiting=yes"))
    change(staff, "checkout", session, brings=50)
    assert prepaid(one) == 25
    assert session not in text(staff.get("/admin/billing/checkout/?waiting=yes"))
    assert LogEntry.objects.get().user.email == "op@example.com"
    whole()


def test_a_purchase_of_nobody_is_completed(staff: Client) -> None:
    one = buyer(linked=False)
    told(one.bought("100", reference=None, email="somebody@example.com"))
    # The number of credits is what Stripe told, whatever the form says.
    change(staff, "checkout", one.named("cs"), owner=one.who.user.email, brings=7)
    assert prepaid(one) == 100
    whole()


@pytest.mark.parametrize("credits_", ["", "0", "-1", "x", "1.5", str(10**12 + 1)])
def test_a_purchase_is_not_completed_with_nonsense(staff: Client, credits_: str) -> None:
    one = buyer()
    told(one.bought(None))
    assert "errorlist" in text(change(staff, "checkout", one.named("cs"), brings=credits_))
    assert prepaid(one) == 0
    assert Checkout.objects.get(pk=one.named("cs")).credits is None


def test_a_purchase_that_is_complete_or_unpaid_is_not_completed(staff: Client, ada: Buyer) -> None:
    other = buyer()
    told(other.bought(None, payment_status="unpaid"))
    for one in (ada, other):
        form = {"owner": one.who.user.email, "brings": 5}
        path = f"/admin/billing/checkout/{one.named('cs')}/change/"
        assert staff.post(path, form).status_code == 403


def test_two_operators_who_complete_one_purchase_top_up_once() -> None:
    one = buyer()
    told(one.bought(None))
    operators = [User.objects.create_superuser(f"op{n}@example.com") for n in range(4)]

    def complete(operator: User) -> None:
        change(logged_in(operator), "checkout", one.named("cs"), brings=50)
        connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(complete, operators))
    assert prepaid(one) == 50
    whole()


def test_staff_without_the_right_to_change_link_and_complete_nothing() -> None:
    one = parked()
    told(one.bought(None))
    reader = User.objects.create_user("reader@example.com", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = logged_in(reader)
    for page, name in (("customer", one.customer), ("checkout", one.named("cs"))):
        path = f"/admin/billing/{page}/{name}/change/"
        assert 'name="_save"' not in text(client.get(path))
        form = {"owner": one.who.user.email, "brings": 5}
        assert client.post(path, form).status_code == 403
    assert Customer.objects.get(pk=one.customer).user is None


def test_the_overview_says_what_waits(staff: Client) -> None:
    seen = text(staff.get("/admin/"))
    assert "?waiting=yes" not in seen
    one = parked()
    other = buyer()
    told(
        other.stripe.subscription_created(other.sub(price="price_new"), created=THIRD),
        other.bought(None),
    )
    seen = text(staff.get("/admin/"))
    for page in ("customer", "subscription", "checkout"):
        assert f'<a href="/admin/billing/{page}/?waiting=yes">1 ' in seen
    assert one.customer in text(staff.get("/admin/billing/customer/?waiting=yes"))
    assert other.named("sub") in text(staff.get("/admin/billing/subscription/?waiting=yes"))


def test_an_old_period_and_a_subscription_that_is_over_wait_for_nobody(staff: Client) -> None:
    plans()
    one, other = buyer(), buyer()
    gone = other.sub(price="price_gone")
    told(
        one.stripe.subscription_created(one.sub(price="price_old"), created=THIRD),
        one.stripe.subscription_updated(one.sub(THIRD + 60, price="price_pro"), created=THIRD + 60),
        other.stripe.subscription_created(gone, created=THIRD),
        other.stripe.subscription_deleted(gone, created=THIRD + 1),
    )
    assert "?waiting=yes" not in text(staff.get("/admin/"))


def test_events_with_a_note_are_listed_alone(staff: Client, ada: Buyer) -> None:
    event = ada.stripe.subscription_updated(ada.sub(price="price_new"), created=THIRD + 1)
    told(event)
    seen = text(staff.get("/admin/billing/stripeevent/?waiting=yes"))
    assert "price_new" in seen
    assert event["id"] in seen
    assert StripeEvent.objects.exclude(note="").count() == 1
    assert json.loads(StripeEvent.objects.exclude(note="").get().payload) == event
