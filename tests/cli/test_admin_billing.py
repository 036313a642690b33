"""`openrembg admin`: prices, packs and the replay of Stripe's events, on either database."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings as DjangoSettings
from test_admin_verbs import call, no_mismatch, refused

from fakes.stripe_account import FakePrice
from fakes.stripe_events import MONTH_S, Event, Stripe, Subscribed
from fakes.stripe_server import KEY, FakeStripe
from openrembg.server.accounts.models import User
from openrembg.server.billing.events import read_event
from openrembg.server.billing.inbox import receive
from openrembg.server.billing.models import BillingPeriod, CreditPack, Plan, StripeEvent
from openrembg.server.quota.models import Balance, LedgerEntry
from openrembg.server.quota.windows import unix
from openrembg.server.settings import Settings

pytestmark = pytest.mark.usefixtures("database")

STRIPE = Stripe()


@pytest.fixture(autouse=True)
def _data_folder(settings: DjangoSettings, tmp_path: Path) -> None:
    settings.OPENREMBG = Settings(data_dir=tmp_path)


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada@example.com")


def price_of(label: str) -> str | None:
    return Plan.objects.get(label=label).stripe_price_id


def receive_all(*events: Event) -> None:
    for event in events:
        text = json.dumps(event)
        receive(read_event(text), text, dt.datetime.now(dt.UTC))


def subscribe(user: User, price: str = "price_pro", name: str = "x") -> Subscribed:
    """Let a user subscribe to a price, an hour ago."""
    at = unix(dt.datetime.now(dt.UTC)) - 3600
    sub = Subscribed(f"sub_{name}", f"cus_{name}", at, at + MONTH_S, price)
    link = {"mode": "subscription", "customer": sub.customer, "reference": str(user.pk)}
    receive_all(
        STRIPE.checkout_completed(f"cs_{name}", created=at, **link),
        STRIPE.subscription_created(sub, created=at),
    )
    return sub


def plan_of(user: User) -> str:
    return Balance.objects.select_related("plan").get(pk=user.pk).plan.label


def test_a_plan_gets_a_price_at_stripe() -> None:
    code, out, said = call("set-price", "Pro-5000", " price_1PbQyZ ")
    assert (code, out) == (0, "")
    assert said == "The plan Pro-5000 is sold at price_1PbQyZ.\n0 accounts changed.\n"
    assert price_of("Pro-5000") == "price_1PbQyZ"


def test_a_pack_gets_a_price_at_stripe() -> None:
    code, _, said = call("set-price", "100 credits", "price_1")
    assert (code, said) == (0, "The credit pack 100 credits is sold at price_1.\n")
    assert CreditPack.objects.get(label="100 credits").stripe_price_id == "price_1"


def test_of_a_plan_and_a_pack_with_one_label_the_plan_is_meant() -> None:
    CreditPack.objects.create(label="Pro-5000", credits=1)
    call("set-price", "Pro-5000", "price_1")
    assert price_of("Pro-5000") == "price_1"
    assert CreditPack.objects.get(label="Pro-5000").stripe_price_id is None


@pytest.mark.parametrize("price", ["plan_Fx9", "gold-monthly"])
def test_a_price_from_before_there_were_prices_is_taken(price: str) -> None:
    assert call("set-price", "Pro-5000", price)[0] == 0


@pytest.mark.parametrize(
    "price",
    [
        *("", " ", "prod_1", "sk_live_1", "price_a b", "price_ä", "price_\x00"),
        *("price_\udcff", "price_" + "x" * 250, "price_1\nprice_2"),
    ],
)
def test_what_is_no_price_is_refused(price: str) -> None:
    said = refused("set-price", "Pro-5000", price)
    assert said.startswith("A price looks like price_1PbQyZ, and not like '")
    assert price_of("Pro-5000") is None


@pytest.mark.parametrize("label", ["pro-5000", "Gold", "x\ny", "\udcff", "", "x" * 101])
def test_an_offer_that_is_not_there_gets_no_price(label: str) -> None:
    said = refused("set-price", label, "price_1")
    assert said.startswith(("Nothing is called '", "The label "))
    assert not Plan.objects.exclude(stripe_price_id=None).exists()


@pytest.mark.parametrize("other", ["Basic-1000", "100 credits"])
def test_a_price_sells_one_thing_alone(other: str) -> None:
    call("set-price", other, "price_1")
    said = refused("set-price", "Pro-5000", "price_1")
    assert said.endswith(f"{other} is sold at price_1 already.")
    assert price_of("Pro-5000") is None
    assert call("set-price", other, "price_1")[0] == 0


@pytest.mark.parametrize("arguments", [(), ("price_1", "--clear")])
def test_either_a_price_is_given_or_none(arguments: tuple[str, ...]) -> None:
    said = refused("set-price", "Pro-5000", *arguments)
    assert said == "Give either a price at Stripe or --clear."


def test_an_offer_is_taken_off_sale(ada: User) -> None:
    call("set-price", "Pro-5000", "price_pro")
    subscribe(ada)
    said = call("set-price", "Pro-5000", "--clear")[2]
    assert said == "The plan Pro-5000 cannot be bought any more.\n"
    assert (price_of("Pro-5000"), plan_of(ada)) == (None, "Pro-5000")


def test_a_price_that_is_still_shown_is_named_and_can_be_hidden() -> None:
    for verb, label in (("plan", "Pro-5000"), ("pack", "100 credits")):
        call(verb, label, "--price-cents", 900, "--currency", "EUR")
        said = call("set-price", label, "--clear")[2]
        assert said.endswith(f"more. 9.00 EUR is still shown; `{verb} --no-price` ends that.\n")
        code, _, said = call(verb, label, "--no-price")
        assert (code, "Its price" in said) == (0, False)
        assert "still shown" not in call("set-price", label, "--clear")[2]
    assert price_shown("Pro-5000") == (None, "", "month")
    assert CreditPack.objects.get(label="100 credits").price_cents is None


@pytest.mark.parametrize("price", [("--price-cents", "5"), ("--currency", "EUR")])
@pytest.mark.parametrize(("verb", "label"), [("plan", "Pro-5000"), ("pack", "100 credits")])
def test_a_price_is_shown_or_none(verb: str, label: str, price: tuple[str, ...]) -> None:
    said = refused(verb, label, "--no-price", *price)
    assert said == "Give either a price or --no-price."


def test_the_free_plan_is_not_sold() -> None:
    said = refused("set-price", "Free", "price_1")
    assert said == "The plan Free is what everybody has for nothing; it cannot be sold."
    assert price_of("Free") is None
    assert call("set-price", "Free", "--clear")[0] == 0


@pytest.mark.parametrize(
    ("verb", "label", "had"),
    [("plan", "100 credits", "credit pack"), ("pack", "Pro-5000", "plan")],
)
def test_a_plan_and_a_pack_share_no_label(verb: str, label: str, had: str) -> None:
    said = refused(verb, label, "--credits", 5)
    assert said == f"The {had} {label} has this label; a plan and a credit pack cannot share one."
    assert Plan.objects.filter(label="100 credits").count() == 0


def test_several_offers_may_be_off_sale() -> None:
    for label in ("Pro-5000", "Basic-1000", "100 credits"):
        assert call("set-price", label, "--clear")[0] == 0


def test_who_pays_the_price_already_has_the_plan_at_once(ada: User) -> None:
    subscribe(ada)
    subscribe(User.objects.create_user("bob@example.com"), "price_other", "y")
    assert plan_of(ada) == "Free"
    said = call("set-price", "Pro-5000", "price_pro")[2]
    assert said.endswith("\n1 account changed.\n")
    assert plan_of(ada) == "Pro-5000"
    assert BillingPeriod.objects.get(plan__label="Pro-5000").credits == 5000
    assert no_mismatch()
    assert call("set-price", "Pro-5000", "price_pro")[2].endswith("\n0 accounts changed.\n")


def test_a_pack_is_made_and_changed() -> None:
    assert call("pack", "250", "--credits", 250)[2] == "The pack 250 has 250 prepaid credits.\n"
    said = call("pack", "250", "--price-cents", 900, "--currency", "eur")[2]
    assert said.endswith("Its price is shown as 9.00 EUR.\n")
    call("pack", "250", "--credits", 300)
    call("set-price", "250", "price_1")
    rows = [line.split("\t") for line in call("packs")[1].splitlines()]
    assert rows[1] == ["250", "300", "9.00 EUR", "price_1"]
    assert [row[0] for row in rows] == ["100 credits", "250", "1,000 credits", "10,000 credits"]


def test_a_plan_is_listed_with_its_prices() -> None:
    price = ("--price-cents", 120_000, "--currency", "JPY", "--interval", "year")
    said = call("plan", "Pro-5000", *price)[2]
    assert said.endswith("Its price is shown as 120,000 JPY a year.\n")
    call("set-price", "Pro-5000", "price_1")
    rows = [line.split("\t") for line in call("plans")[1].splitlines()]
    assert rows[2] == ["Pro-5000", "5000", "300", "0", "120,000 JPY a year", "price_1"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "Pro-5000", "--price-cents", "5"),
        ("plan", "Pro-5000", "--price-cents=-5", "--currency", "EUR"),
        ("plan", "Pro-5000", "--price-cents", "1.5", "--currency", "EUR"),
        ("plan", "Pro-5000", "--currency", "euro"),
        ("plan", "Pro-5000", "--currency", "€"),
        ("plan", "Pro-5000", "--currency", "ÄÖÜ"),
        ("plan", "Pro-5000", "--currency", "\udcff12"),
        ("plan", "Pro-5000", "--interval", "quarter"),
        ("plan", "New", "--price-cents", "5", "--currency", "EUR"),
        ("pack", "100 credits"),
        ("pack", "New"),
        ("pack", "", "--credits", "5"),
        ("pack", "two\nlines", "--credits", "5"),
        ("pack", "100 credits", "--credits", "0"),
        ("pack", "100 credits", "--credits", "1000000000001"),
        ("pack", "100 credits", "--price-cents", "5"),
    ],
)
def test_an_offer_that_makes_no_sense_is_not_made(arguments: tuple[str, ...]) -> None:
    models = (Plan, CreditPack)
    before = [list(model.objects.order_by("pk").values()) for model in models]
    assert refused(*arguments)
    assert [list(model.objects.order_by("pk").values()) for model in models] == before


def test_an_empty_inbox_is_replayed() -> None:
    code, out, said = call("replay-stripe")
    assert (code, said) == (0, "")
    assert out == "0 events in the inbox.\n0 accounts compared, 0 changed.\n"


def test_a_replay_changes_nothing_where_nothing_is_wrong(ada: User) -> None:
    call("set-price", "Pro-5000", "price_pro")
    subscribe(ada)
    entries = LedgerEntry.objects.count()
    said = call("replay-stripe")[1]
    assert said == "2 events in the inbox.\n1 account compared, 0 changed.\n"
    assert LedgerEntry.objects.count() == entries
    assert no_mismatch()


def test_a_replay_makes_anew_what_was_lost(ada: User) -> None:
    call("set-price", "Pro-5000", "price_pro")
    subscribe(ada)
    Balance.objects.filter(pk=ada.pk).update(plan=Plan.objects.get(label="Free"))
    BillingPeriod.objects.all().delete()
    assert call("replay-stripe")[1].endswith("1 account compared, 1 changed.\n")
    assert plan_of(ada) == "Pro-5000"


def test_a_replay_names_what_waits(ada: User) -> None:
    now = unix(dt.datetime.now(dt.UTC))
    subscribe(ada, "price_new")
    parked = Subscribed("sub_p", "cus_p", now, now + MONTH_S, "price_new")
    receive_all(
        STRIPE.subscription_created(parked, created=now),
        STRIPE.checkout_completed("cs_w", created=now, reference=str(ada.pk)),
    )
    said = call("replay-stripe")[1].splitlines()
    assert said[2:] == [
        "1 customer of nobody: see /admin/ and link-customer.",
        "1 purchase without user or credits: see /admin/ and complete-purchase.",
        "No plan has price_new: see set-price.",
    ]


def test_a_replay_says_which_events_it_cannot_read(ada: User) -> None:
    subscribe(ada)
    event = STRIPE.subscription_updated(Subscribed("sub_x", "cus_x", 1, 2), created=5)
    del event["data"]["object"]["id"]
    receive_all(event)
    code, out, said = call("replay-stripe")
    assert code == 1
    assert out.startswith("3 events in the inbox.\n")
    assert said == f"openrembg: 1 event cannot be read: {event['id']}.\n"
    assert StripeEvent.objects.count() == 3


@pytest.fixture
def stripe(settings: DjangoSettings, tmp_path: Path) -> Iterator[FakeStripe]:
    """A Stripe that sells some prices."""
    with FakeStripe() as running:
        running.account.sells("price_pro", 4900, "year")
        running.account.sells("price_pack", 900)
        settings.OPENREMBG = Settings(
            data_dir=tmp_path, stripe_secret_key=KEY, stripe_api_base=running.url
        )
        yield running


def price_shown(label: str) -> tuple[int | None, str, str]:
    plan = Plan.objects.get(label=label)
    return plan.price_cents, plan.currency, plan.interval


def test_amount_currency_and_interval_are_stripes(stripe: FakeStripe) -> None:
    code, _, said = call("set-price", "Pro-5000", "price_pro")
    assert code == 0
    assert said.startswith("The plan Pro-5000 is sold at price_pro; 49.00 EUR is shown.\n")
    assert price_shown("Pro-5000") == (4900, "EUR", "year")
    call("set-price", "100 credits", "price_pack")
    pack = CreditPack.objects.get(label="100 credits")
    assert (pack.price_cents, pack.currency) == (900, "EUR")


@pytest.mark.parametrize(
    ("label", "price", "sentence"),
    [
        ("Pro-5000", "price_x", "Stripe has no price price_x in the account of STRIPE_SECRET_KEY."),
        ("Pro-5000", "price_pack", "price_pack is paid once; a plan needs a price that recurs."),
        ("100 credits", "price_pro", "price_pro recurs each year; a pack needs one paid once."),
    ],
)
def test_a_price_that_stripe_does_not_sell_like_this_is_refused(
    stripe: FakeStripe, label: str, price: str, sentence: str
) -> None:
    assert refused("set-price", label, price) == sentence
    assert not Plan.objects.exclude(stripe_price_id=None).exists()
    assert not CreditPack.objects.exclude(stripe_price_id=None).exists()


def test_a_price_is_kept_with_a_warning_when_stripe_is_away(stripe: FakeStripe) -> None:
    stripe.stop_answering()
    code, _, said = call("set-price", "Pro-5000", "price_pro")
    assert code == 0
    assert said.startswith("Warning: Stripe does not answer; the price was not looked at.\n")
    assert price_of("Pro-5000") == "price_pro"


def test_a_key_that_stripe_does_not_know_keeps_nothing(
    stripe: FakeStripe, settings: DjangoSettings
) -> None:
    settings.OPENREMBG = replace(settings.OPENREMBG, stripe_secret_key="rk_test_other")
    said = refused("set-price", "Pro-5000", "price_pro")
    assert said == "Stripe does not know STRIPE_SECRET_KEY; the price was not kept."
    assert price_of("Pro-5000") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ({"error": {"type": "invalid_request_error", "message": "Not like this."}}, "Not like"),
        ({"error": {"type": "invalid_request_error"}}, "it does not say why"),
    ],
)
def test_any_other_refusal_keeps_nothing(
    stripe: FakeStripe, text: dict[str, object], words: str
) -> None:
    stripe.faults.status, stripe.faults.text = 400, json.dumps(text)
    said = refused("set-price", "Pro-5000", "price_pro")
    assert said.startswith("Stripe does not tell of price_pro, so it was not kept: ")
    assert words in said
    assert price_of("Pro-5000") is None


def test_a_key_that_may_not_read_prices_is_a_warning(stripe: FakeStripe) -> None:
    error = {"type": "invalid_request_error", "message": "The provided key may not do this."}
    stripe.faults.status, stripe.faults.text = 403, json.dumps({"error": error})
    code, _, said = call("set-price", "Pro-5000", "price_pro")
    assert code == 0
    assert said.startswith("Warning: Stripe does not let STRIPE_SECRET_KEY read prices;")
    assert price_of("Pro-5000") == "price_pro"


def test_an_archived_price_is_a_warning(stripe: FakeStripe) -> None:
    stripe.account.prices["price_pro"] = FakePrice("price_pro", 1, "month", is_active=False)
    code, _, said = call("set-price", "Pro-5000", "price_pro")
    assert code == 0
    assert said.startswith("Warning: the price is archived at Stripe, so nobody can buy it.\n")


@pytest.mark.parametrize(("amount", "count"), [(None, 1), (4900, 3)])
def test_a_price_that_is_not_one_amount_for_one_interval_is_not_shown(
    stripe: FakeStripe, amount: int | None, count: int
) -> None:
    call("plan", "Pro-5000", "--price-cents", 5, "--currency", "USD")
    recurring = {"interval": "month", "interval_count": count, "usage_type": "licensed"}
    price = {"id": "price_pro", "object": "price", "active": True, "currency": "eur"}
    price |= {"type": "recurring", "recurring": recurring, "unit_amount": amount}
    stripe.faults.text = json.dumps(price)
    code, _, said = call("set-price", "Pro-5000", "price_pro")
    assert code == 0
    assert said.startswith("The price is not one amount for one interval: none will be shown.\n")
    assert price_shown("Pro-5000") == (None, "EUR", "month")


def waiting(name: str = "w") -> Subscribed:
    """Let a customer wait who pays for Pro-5000."""
    call("set-price", "Pro-5000", "price_pro")
    at = unix(dt.datetime.now(dt.UTC)) - 3600
    sub = Subscribed(f"sub_{name}", f"cus_{name}", at, at + MONTH_S, "price_pro")
    receive_all(STRIPE.subscription_created(sub, created=at))
    return sub


def purchase(*, paid: bool = True, **facts: Any) -> None:
    """Let the purchase cs_w wait that does not say what it brings."""
    status = "paid" if paid else "unpaid"
    now = unix(dt.datetime.now(dt.UTC))
    receive_all(STRIPE.checkout_completed("cs_w", created=now, payment_status=status, **facts))


def test_a_customer_who_waits_is_linked(ada: User) -> None:
    waiting()
    code, out, said = call("link-customer", " cus_w ", "Ada@example.com")
    assert (code, out) == (0, "")
    assert said == "The customer cus_w is ada@example.com, who has the plan Pro-5000 now.\n"
    assert plan_of(ada) == "Pro-5000"
    assert call("link-customer", "cus_w", "ada@example.com")[0] == 0
    assert no_mismatch()


def test_a_customer_who_is_somebody_or_unknown_is_not_linked(ada: User) -> None:
    subscribe(User.objects.create_user("bob@example.com"))
    said = refused("link-customer", "cus_x", "ada@example.com")
    assert said == "The customer cus_x is somebody else already."
    said = refused("link-customer", "cus_none", "ada@example.com")
    assert said == "Stripe has told of no customer cus_none."
    assert "no user" in refused("link-customer", "cus_x", "eve@example.com")


@pytest.mark.parametrize("name", ["a\nb", "x" * 256, "\x00", "\udcff"])
@pytest.mark.parametrize("verb", ["link-customer", "unlink-customer", "complete-purchase"])
def test_what_is_no_name_at_stripe_is_refused(ada: User, verb: str, name: str) -> None:
    more = {"link-customer": ("ada@example.com",), "complete-purchase": ("ada@example.com", "5")}
    assert refused(verb, name, *more.get(verb, ())).startswith("The name of the ")


def test_a_wrong_link_is_taken_back(ada: User) -> None:
    waiting()
    purchase(credits_="100", customer="cus_w")
    call("link-customer", "cus_w", "ada@example.com")
    code, out, said = call("unlink-customer", "cus_w")
    assert (code, out) == (0, "")
    assert said.splitlines() == [
        "The customer cus_w is not ada@example.com any more, and waits for a user.",
        "ada@example.com has the plan Free now, and all credits that were bought.",
    ]
    assert (plan_of(ada), Balance.objects.get(pk=ada.pk).prepaid) == ("Free", 100)
    assert refused("unlink-customer", "cus_w") == "The customer cus_w is nobody here."
    assert refused("unlink-customer", "cus_no") == "Stripe has told of no customer cus_no."
    assert no_mismatch()


def test_a_purchase_that_waits_is_completed_once(ada: User) -> None:
    purchase()
    for _ in range(2):
        code, out, said = call("complete-purchase", "cs_w", "ada@example.com", 250)
        assert (code, out) == (0, "")
        assert said == "The purchase cs_w brings ada@example.com 250 prepaid credits.\n"
    assert Balance.objects.get(pk=ada.pk).prepaid == 250
    assert LedgerEntry.objects.get(reference="cs_w").note == "operator"
    said = refused("complete-purchase", "cs_w", "ada@example.com", 251)
    assert said == "The purchase itself says how many credits it brings."
    User.objects.create_user("bob@example.com")
    said = refused("complete-purchase", "cs_w", "bob@example.com", 250)
    assert said == "The purchase is somebody else’s already."
    assert no_mismatch()


def test_a_purchase_that_is_not_paid_yet_brings_its_credits_later(ada: User) -> None:
    purchase(paid=False)
    said = call("complete-purchase", "cs_w", "ada@example.com", 250)[2]
    assert said.endswith("It is not paid yet; they come with the payment.\n")
    assert Balance.objects.get(pk=ada.pk).prepaid == 0


@pytest.mark.parametrize("credits_", ["0", "-1", "x", "1.5", str(10**12 + 1)])
def test_a_purchase_is_not_completed_with_nonsense(ada: User, credits_: str) -> None:
    purchase()
    said = refused("complete-purchase", "cs_w", "ada@example.com", "--", credits_)
    assert said.startswith("CREDITS must be a whole number")


def test_a_purchase_that_is_not_there_is_not_completed(ada: User) -> None:
    said = refused("complete-purchase", "cs_none", "ada@example.com", 5)
    assert said == "There is no purchase cs_none."


def test_usage_tells_of_customers_and_the_subscription(ada: User) -> None:
    assert "stripe" not in call("usage", "ada@example.com")[1]
    subscribe(ada)
    waiting("y")
    call("link-customer", "cus_y", "ada@example.com")
    facts = json.loads(call("usage", "ada@example.com", "--json")[1])
    assert facts["stripe_customers"] == ["cus_x", "cus_y"]
    assert facts["stripe_subscription"] == {"id": "sub_y", "status": "active"}
    rows = dict(line.split("\t") for line in call("usage", "ada@example.com")[1].splitlines())
    assert rows["stripe customers"] == "cus_x, cus_y"
    assert rows["stripe subscription id"] == "sub_y"
    assert rows["stripe subscription status"] == "active"
