"""What staff see and do on the admin pages of plans, packs and Stripe's events."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connections
from django.test import Client
from django.utils.translation import override
from pytest_django.fixtures import Settings as DjangoSettings
from staff import logged_in
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
    sold_at,
    told,
    whole,
)

from openrembg.server.accounts.models import User
from openrembg.server.billing import linking
from openrembg.server.billing.models import (
    BillingPeriod,
    Checkout,
    CreditPack,
    Customer,
    Plan,
    PlanPrice,
    Reversal,
    StripeEvent,
    Subscription,
)
from openrembg.server.billing.replay import replay
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


def prices(
    *kept: str, added: tuple[str, ...] = (), deleted: tuple[str, ...] = ()
) -> dict[str, object]:
    """Return the rows of a plan's form: prices that stand for it, and what is to be done."""
    names = [*kept, *deleted, *added]
    count = len(kept) + len(deleted)
    form = {f"prices-{n}-price_id": name for n, name in enumerate(names)}
    form |= {f"prices-{n}-DELETE": "on" for n, name in enumerate(names) if name in deleted}
    return {**form, "prices-TOTAL_FORMS": len(names), "prices-INITIAL_FORMS": count}


def change(client: Client, page: str, pk: object, **fields: object) -> Any:
    return client.post(f"/admin/billing/{page}/{pk}/change/", fields, follow=True)


def stand_for(of: Plan) -> set[str]:
    return set(PlanPrice.objects.filter(plan=of).values_list("pk", flat=True))


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


@pytest.mark.parametrize("page", [name for name in FACTS if name != "customer"])
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
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(
    staff: Client, fields: dict[str, object], said: str
) -> None:
    plans()
    for page in ("plan", "creditpack"):
        form = offer(page, **fields)
        assert said in text(staff.post(f"/admin/billing/{page}/add/", form))
    assert not Plan.objects.filter(label="Gold").exists()


@pytest.mark.parametrize(("page", "label"), [("plan", "Basic"), ("creditpack", "100 credits")])
def test_two_of_a_kind_cannot_have_one_label(staff: Client, page: str, label: str) -> None:
    plans()
    form = offer(page, label=label)
    assert "already exists" in text(staff.post(f"/admin/billing/{page}/add/", form))


@pytest.mark.parametrize(("page", "label"), [("creditpack", "Basic"), ("plan", "100 credits")])
def test_a_plan_and_a_pack_cannot_have_one_label(staff: Client, page: str, label: str) -> None:
    plans()
    form = offer(page, label=label)
    seen = text(staff.post(f"/admin/billing/{page}/add/", form))
    assert "A plan and a credit pack cannot have the same label." in seen


def test_a_plan_that_shares_its_label_with_a_pack_since_long_is_changed(staff: Client) -> None:
    made = plan("100 credits", 7)
    change(staff, "plan", made.pk, **offer(label="100 credits", credits=8))
    made.refresh_from_db()
    assert made.credits == 8


def test_the_free_plan_is_not_sold(staff: Client) -> None:
    free = Plan.objects.get(label="Free")
    form = offer(stripe_price_id="price_free")
    said = "Everybody has this plan for nothing; it cannot be sold."
    assert said in text(change(staff, "plan", free.pk, **form))
    assert said in text(change(staff, "plan", free.pk, **offer() | prices(added=("price_free",))))
    free.refresh_from_db()
    assert (free.stripe_price_id, free.prices.count()) == (None, 0)


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


def test_a_price_that_stands_for_a_plan_is_added_and_who_pays_it_has_the_plan(
    staff: Client,
) -> None:
    made, one = plan("Gold", 7, "price_gold"), buyer()
    told(one.stripe.subscription_created(one.sub(price="price_eur"), created=THIRD))
    form = offer(stripe_price_id="price_gold") | prices("price_gold", added=(" price_eur ",))
    assert "1 account changed." in text(change(staff, "plan", made.pk, **form))
    assert plan_of(one) == "Gold"
    assert stand_for(made) == {"price_gold", "price_eur"}


def test_a_former_price_is_deleted_and_the_history_names_it(staff: Client) -> None:
    made = plan("Gold", 7, "price_old")
    sold_at("Gold", "price_gold")
    form = offer(stripe_price_id="price_gold") | prices("price_gold", deleted=("price_old",))
    assert "was changed successfully" in text(change(staff, "plan", made.pk, **form))
    assert stand_for(made) == {"price_gold"}
    assert "price_old" in LogEntry.objects.get().get_change_message()


def test_the_price_that_a_plan_is_sold_at_is_not_deleted(staff: Client) -> None:
    made = plan("Gold", 7, "price_gold")
    form = offer(stripe_price_id="price_gold") | prices(deleted=("price_gold",))
    seen = text(change(staff, "plan", made.pk, **form))
    assert "The plan is sold at price_gold; it cannot be deleted here." in seen
    assert stand_for(made) == {"price_gold"}
    form = offer() | prices(deleted=("price_gold",))
    assert "was changed successfully" in text(change(staff, "plan", made.pk, **form))
    assert stand_for(made) == set()


@pytest.mark.parametrize("price", ["price_2", "", "price_pro"])
def test_a_price_that_stands_for_a_plan_does_not_become_another(staff: Client, price: str) -> None:
    plans()
    made = plan("Gold", 7, "price_gold")
    form = offer(stripe_price_id="price_gold") | prices(price)
    seen = text(change(staff, "plan", made.pk, **form))
    assert "A price does not change; delete it, and add another." in seen
    assert 'value="price_gold" class="vTextField" maxlength="255" readonly' in text(
        staff.get(f"/admin/billing/plan/{made.pk}/change/")
    )
    assert stand_for(made) == {"price_gold"}


def test_a_price_that_is_deleted_by_two_operators_is_no_crash(staff: Client) -> None:
    made = plan("Gold", 7, "price_gold")
    form = offer(stripe_price_id="price_gold") | prices("price_gold", deleted=("price_old",))
    assert "was changed successfully" in text(change(staff, "plan", made.pk, **form))


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("prod_1", "A price looks like price_1PbQyZ."),
        ("price_1 or so", "A price looks like price_1PbQyZ."),
        ("price_pack", "“100 credits” is sold at this price already."),
        ("price_pro", "“Pro” is sold at this price already."),
        ("price_former", "This price stands for the plan “Pro” already."),
        ("price_gold", "This price stands for the plan “Gold” already."),
    ],
)
def test_a_price_that_is_something_else_already_does_not_stand_for_a_plan(
    staff: Client, price: str, said: str
) -> None:
    plans()
    sold_at("Pro", "price_former")
    sold_at("Pro", "price_pro")
    CreditPack.objects.filter(label="100 credits").update(stripe_price_id="price_pack")
    made = plan("Gold", 7, "price_gold")
    form = offer(stripe_price_id="price_gold") | prices("price_gold", added=(price,))
    assert said in text(change(staff, "plan", made.pk, **form))
    assert stand_for(made) == {"price_gold"}
    if price != "price_gold":
        form = offer(label="New") | prices(added=(price,))
        assert said in text(staff.post("/admin/billing/plan/add/", form))


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
    answer = change(staff, "customer", ada.customer, owner=other.who.user.email)
    assert "errorlist" in text(answer)
    assert Customer.objects.get(pk=ada.customer).user == ada.who.user


def test_a_customer_who_was_linked_by_mistake_is_nobodys_again(staff: Client, ada: Buyer) -> None:
    assert (plan_of(ada), prepaid(ada)) == ("Pro", 50)
    seen = text(staff.get(f"/admin/billing/customer/{ada.customer}/change/"))
    assert "Credits that were bought stay." in seen
    assert "errorlist" in text(change(staff, "customer", ada.customer))
    assert plan_of(ada) == "Pro"
    change(staff, "customer", ada.customer, unlink="on")
    assert Customer.objects.get(pk=ada.customer).user is None
    assert (plan_of(ada), prepaid(ada)) == ("Free", 50)
    entry = LogEntry.objects.get()
    assert (entry.user.email, ada.who.user.email in entry.change_message) == (
        "op@example.com",
        True,
    )
    other = buyer(linked=False)
    change(staff, "customer", ada.customer, owner=other.who.user.email)
    assert (plan_of(other), prepaid(other)) == ("Pro", 0)
    whole()


def test_what_came_with_a_wrong_link_goes_with_it_and_a_replay_does_not_bring_it_back() -> None:
    one = parked()
    of_customer: dict[str, Any] = {
        "customer": one.customer,
        "reference": None,
        "email": "x@example.com",
    }
    told(
        one.stripe.checkout_completed(
            one.named("cs_sub"), created=THIRD, mode="subscription", **of_customer
        ),
        one.bought(None, **of_customer),
    )
    linking.link(one.customer, one.id)
    assert Checkout.objects.filter(user=one.id).count() == 2
    assert linking.unlink(one.customer) == one.id
    assert not Checkout.objects.filter(user=one.id).exists()
    replay(NOW)
    assert Customer.objects.get().user is None
    assert plan_of(one) == "Free"
    linking.link(one.customer, one.id)
    assert plan_of(one) == "Pro"
    whole()


def test_a_purchase_that_an_operator_gave_somebody_does_not_give_them_the_customer() -> None:
    one = parked()
    told(one.bought(None, customer=one.customer, reference=None, email="x@example.com"))
    linking.complete(one.named("cs"), one.id, 50)
    linking.claim(one.named("cs"), NOW)
    assert Customer.objects.get().user is None
    assert (plan_of(one), prepaid(one)) == ("Free", 50)


@pytest.mark.parametrize("known", [False, True])
def test_a_customer_of_nobody_is_not_unlinked(known: bool) -> None:
    one = parked() if known else buyer(linked=False)
    with pytest.raises(linking.CannotLink, match=one.customer):
        linking.unlink(one.customer)


def test_what_cannot_be_done_is_said_in_the_operators_language() -> None:
    one = parked()
    told(one.bought("100", reference=None, email="x@example.com"))
    linking.complete(one.named("cs"), one.id, 100)
    other = buyer(linked=False)
    with override("ja"), pytest.raises(linking.CannotLink, match="別の人のものです"):
        linking.complete(one.named("cs"), other.id, 100)


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


def test_the_overview_says_when_nothing_is_for_sale(staff: Client, furnish: Any) -> None:
    hint = "no plan and no pack has a price"
    assert hint not in text(staff.get("/admin/")), "without Stripe nothing is missing"
    furnish(stripe_secret_key="sk_test_one", stripe_webhook_secret="whsec_one")
    assert hint in text(staff.get("/admin/"))
    Plan.objects.filter(label="Pro-5000").update(stripe_price_id="price_pro")
    assert hint not in text(staff.get("/admin/"))


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


def waiting_events(client: Client) -> int:
    seen = text(client.get("/admin/billing/stripeevent/?waiting=yes"))
    return seen.count('name="_selected_action"') or seen.count('class="field-event_id"')


def test_an_event_waits_until_the_price_has_a_plan_or_the_subscription_is_over(
    staff: Client,
) -> None:
    one, other = buyer(), buyer()
    told(
        one.stripe.subscription_created(one.sub(price="price_new"), created=THIRD),
        other.stripe.subscription_created(other.sub(price="price_gone"), created=THIRD),
    )
    assert waiting_events(staff) == 2
    change(staff, "plan", plan("Gold", 7).pk, **offer(stripe_price_id="price_new"))
    assert waiting_events(staff) == 1
    gone = other.sub(price="price_gone")
    told(other.stripe.subscription_deleted(gone, created=THIRD + 1))
    assert waiting_events(staff) == 0


def test_an_event_waits_until_its_purchase_is_complete(staff: Client) -> None:
    one, nobodys = buyer(), buyer(linked=False)
    told(one.bought(None), nobodys.bought("100", reference=None, email="x@example.com"))
    assert waiting_events(staff) == 2
    change(staff, "checkout", one.named("cs"), brings=50)
    assert waiting_events(staff) == 1
    change(staff, "checkout", nobodys.named("cs"), owner=nobodys.who.user.email)
    assert waiting_events(staff) == 0


def test_an_event_waits_until_its_customer_is_linked(staff: Client) -> None:
    one = parked()
    told(one.bought(customer=one.customer, reference=None, email="x@example.com"))
    assert waiting_events(staff) == 1
    linking.link(one.customer, one.id)
    assert waiting_events(staff) == 0
    assert prepaid(one) == 100


def test_an_event_that_cannot_be_read_waits_though_all_else_is_settled(
    staff: Client, ada: Buyer
) -> None:
    event = ada.stripe.subscription_updated(ada.sub(price="price_pro"), created=THIRD + 1)
    event["data"]["object"]["customer"] = None
    told(event)
    assert waiting_events(staff) == 1
    assert event["id"] in text(staff.get("/admin/billing/stripeevent/?waiting=yes"))


def test_events_of_deleted_accounts_wait_for_nobody_unless_they_go_on_paying(
    staff: Client, ada: Buyer
) -> None:
    notes = ("This invoice.paid cannot be read.", "A deleted account goes on paying.")
    for pk, note in zip(StripeEvent.objects.values_list("pk", flat=True), notes, strict=False):
        StripeEvent.objects.filter(pk=pk).update(note=note, payload="")
    assert waiting_events(staff) == 1
    assert notes[1] in text(staff.get("/admin/billing/stripeevent/?waiting=yes"))


def test_events_with_a_note_are_listed_alone(staff: Client, ada: Buyer) -> None:
    event = ada.stripe.subscription_updated(ada.sub(price="price_new"), created=THIRD + 1)
    told(event)
    seen = text(staff.get("/admin/billing/stripeevent/?waiting=yes"))
    assert "price_new" in seen
    assert event["id"] in seen
    assert StripeEvent.objects.exclude(note="").count() == 1
    assert json.loads(StripeEvent.objects.exclude(note="").get().payload) == event
