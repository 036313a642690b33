"""What can be bought, and what Stripe told about who bought it.

    Plan, CreditPack   data: an operator may add, change and rename them
    PlanPrice          the prices at Stripe that stand for a plan, former ones among them
    StripeEvent        the inbox: every event once, as it came
    Customer           whom a Stripe customer is here; nobody yet: its events wait
    Subscription       what the newest event says of a subscription
    BillingPeriod      one of its periods, and what that one includes
    Payment            what is locked while money of a payment comes or goes
    Checkout           a Checkout session that came to its end
    Reversal           money of a payment that went back: a refund or a dispute

The tables of Stripe's facts but the inbox are made from it: `openrembg admin replay-stripe` makes
them again. Each keeps the newest that was told, by a key that orders events; so the order in which
they arrive makes no difference. Moments are Unix seconds (UTC).
"""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

FREE = "Free"
MAX_LABEL = 100
# Stripe's own identifiers have at most 255 characters.
MAX_ID = 255
MAX_KEY = 40 + MAX_ID


class Offer(models.Model):
    """What plans and packs have in common.

    label: free text that clients see and never parse. price_cents: in the currency's smallest
    unit, as Stripe counts; None: not shown. stripe_price_id: what Checkout sells; None: it cannot
    be bought.
    """

    label = models.CharField(_("label"), max_length=MAX_LABEL, unique=True)
    price_cents = models.PositiveBigIntegerField(
        _("price in the smallest unit"),
        help_text=_("1200 is 12.00 EUR, or 1200 JPY. Shown, never charged: Stripe's price is."),
        null=True,
        blank=True,
    )
    currency = models.CharField(
        _("currency"), help_text=_("Three letters, such as EUR."), max_length=3, blank=True
    )
    stripe_price_id = models.CharField(
        _("Stripe price"),
        help_text=_("Such as price_1Pb…; without one it cannot be bought."),
        max_length=MAX_ID,
        unique=True,
        null=True,
        blank=True,
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.label


class Plan(Offer):
    """Credits for each period, and how fast they may be used.

    credits: included in each period. per_minute: requests a minute; 0 refuses all, -1 sets no
    limit. interval: what the price is for.
    """

    INTERVALS = (
        ("day", _("a day")),
        ("week", _("a week")),
        ("month", _("a month")),
        ("year", _("a year")),
    )

    credits = models.PositiveBigIntegerField(_("credits a period"))
    per_minute = models.IntegerField(_("requests a minute"), default=300)
    interval = models.CharField(_("price for"), max_length=5, choices=INTERVALS, default="month")

    class Meta:
        verbose_name = _("plan")
        verbose_name_plural = _("plans")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(per_minute__gte=-1), name="plan_limit_is_a_limit"
            ),
        ]


class PlanPrice(models.Model):
    """A price at Stripe that stands for a plan: the one that it is sold at, former ones, others.

    Whoever subscribed at a former price goes on paying it.
    """

    price_id = models.CharField(_("Stripe price"), max_length=MAX_ID, primary_key=True)
    plan = models.ForeignKey(Plan, on_delete=models.CASCADE, related_name="prices")

    class Meta:
        verbose_name = _("price that stands for the plan")
        verbose_name_plural = _("prices that stand for the plan, former ones among them")

    def __str__(self) -> str:
        # After it was deleted, there is none.
        return self.price_id or ""


class CreditPack(Offer):
    """Prepaid credits that are bought at once and do not expire."""

    credits = models.PositiveBigIntegerField(_("credits"))

    class Meta:
        verbose_name = _("credit pack")
        verbose_name_plural = _("credit packs")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=models.Q(credits__gte=1), name="pack_has_credits"),
        ]


class StripeEvent(models.Model):
    """An event as Stripe sent it. created: when it happened there.

    payload: the JSON; empty once the account that it tells of is deleted. note: what an operator
    has to know of it, in English; empty when all is well.
    """

    event_id = models.CharField(_("event"), max_length=MAX_ID, unique=True)
    type = models.CharField(_("type"), max_length=MAX_ID)
    created = models.BigIntegerField(_("created"))
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    customer_id = models.CharField(_("customer"), max_length=MAX_ID, blank=True, db_index=True)
    payload = models.TextField(_("content"), blank=True)
    note = models.TextField(_("note"), blank=True)

    class Meta:
        verbose_name = _("Stripe event")
        verbose_name_plural = _("Stripe events")

    def __str__(self) -> str:
        return f"{self.type} {self.event_id}"


class Customer(models.Model):
    """A customer of Stripe's. user: None until somebody is known to be it."""

    customer_id = models.CharField(_("customer"), max_length=MAX_ID, primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="stripe_customers",
        verbose_name=_("user"),
        null=True,
        blank=True,
    )

    class Meta:
        verbose_name = _("Stripe customer")
        verbose_name_plural = _("Stripe customers")

    def __str__(self) -> str:
        return self.customer_id


class Subscription(models.Model):
    """A subscription as the newest events tell it.

    status: Stripe's word; empty while only invoices were heard of. interval, interval_count: what
    its price is for. ends_at: when it was told to end, None when it goes on. told: the key of
    the newest event about it, told_start: of the period in that. paid, failed: start of the newest
    period whose invoice was paid, or was not, and the event's key.
    """

    subscription_id = models.CharField(_("subscription"), max_length=MAX_ID, primary_key=True)
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="subscriptions", verbose_name=_("customer")
    )
    status = models.CharField(_("status"), max_length=50, blank=True)
    interval = models.CharField(_("interval"), max_length=5, blank=True)
    interval_count = models.PositiveIntegerField(_("number of intervals"), default=1)
    ends_at = models.BigIntegerField(_("told to end at"), null=True, blank=True)
    told = models.CharField(max_length=MAX_KEY, blank=True)
    told_start = models.BigIntegerField(default=0)
    paid = models.CharField(max_length=MAX_KEY, blank=True)
    failed = models.CharField(max_length=MAX_KEY, blank=True)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")

    def __str__(self) -> str:
        return self.subscription_id


class BillingPeriod(models.Model):
    """A period of a subscription. prices: Stripe's ids of what was subscribed to in it, with
    spaces between them.

    plan, credits: what that is here, as it was when it was told; None: no plan has the price. Then
    known_plan and known_credits count: what was told before it, by the event of that key.
    """

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="periods")
    start = models.BigIntegerField(_("start"))
    end = models.BigIntegerField(_("end"))
    prices = models.TextField(_("prices"), blank=True)
    plan = models.ForeignKey(
        Plan, on_delete=models.SET_NULL, related_name="+", null=True, verbose_name=_("plan")
    )
    credits = models.PositiveBigIntegerField(_("credits"), null=True)
    told = models.CharField(max_length=MAX_KEY)
    known_plan = models.ForeignKey(Plan, on_delete=models.SET_NULL, related_name="+", null=True)
    known_credits = models.PositiveBigIntegerField(null=True)
    known_told = models.CharField(max_length=MAX_KEY, blank=True)

    class Meta:
        verbose_name = _("billing period")
        verbose_name_plural = _("billing periods")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("subscription", "start"), name="one_period_a_start"),
            models.CheckConstraint(
                condition=models.Q(start__lt=models.F("end")), name="billing_period_is_a_period"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id}: {self.start}"


class Payment(models.Model):
    """A payment: its row is locked while a purchase and a refund of it are brought together.

    is_forgotten: whoever paid has deleted their account.
    """

    payment_intent = models.CharField(max_length=MAX_ID, primary_key=True)
    is_forgotten = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.payment_intent


class Checkout(models.Model):
    """A Checkout session that came to its end.

    user: whose it is, None until that is known. email: what the buyer wrote, in lower case.
    credits: prepaid ones that were bought; None for a payment that does not say how many.
    taken_back: so many of them were asked back since, because money went back.
    """

    MODES = (("payment", _("payment")), ("subscription", _("subscription")))

    session_id = models.CharField(_("session"), max_length=MAX_ID, primary_key=True)
    mode = models.CharField(_("mode"), max_length=20, choices=MODES)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="checkouts",
        verbose_name=_("user"),
        null=True,
        blank=True,
    )
    created = models.BigIntegerField(_("created"))
    customer_id = models.CharField(_("customer"), max_length=MAX_ID, blank=True)
    subscription_id = models.CharField(_("subscription"), max_length=MAX_ID, blank=True)
    payment_intent = models.CharField(_("payment"), max_length=MAX_ID, blank=True, db_index=True)
    reference = models.CharField(_("reference"), max_length=MAX_ID, blank=True)
    email = models.CharField(_("e-mail address"), max_length=MAX_ID, blank=True, db_index=True)
    is_paid = models.BooleanField(_("paid"), default=False)
    amount = models.PositiveBigIntegerField(_("amount in the smallest unit"), default=0)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    credits = models.PositiveBigIntegerField(_("credits"), null=True, blank=True)
    taken_back = models.PositiveBigIntegerField(_("credits asked back"), default=0)

    class Meta:
        verbose_name = _("purchase")
        verbose_name_plural = _("purchases")

    def __str__(self) -> str:
        return self.session_id


class Reversal(models.Model):
    """Money that went back: all refunds of one charge, or one dispute; it never becomes less."""

    stripe_id = models.CharField(_("charge or dispute"), max_length=MAX_ID, primary_key=True)
    payment_intent = models.CharField(_("payment"), max_length=MAX_ID, db_index=True)
    amount = models.PositiveBigIntegerField(_("amount in the smallest unit"))

    class Meta:
        verbose_name = _("refund or dispute")
        verbose_name_plural = _("refunds and disputes")

    def __str__(self) -> str:
        return self.stripe_id
