"""What Stripe told, on the admin pages: it is read, not written.

An operator may say whom a customer is that waits, or that it is somebody else, and what a purchase
brings that does not tell. All of it goes through the ledger.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.models import User
from openrembg.server.billing import linking, waiting
from openrembg.server.billing.events import MAX_CREDITS
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
from openrembg.server.billing.money import money
from openrembg.server.errors import AccountGone
from openrembg.server.quota import ledger
from openrembg.server.web.operators import ReadOnly, moment

if TYPE_CHECKING:  # Django's own classes take no parameters.
    WaitingForm = forms.ModelForm[Model]
    PeriodInline = admin.TabularInline[BillingPeriod, Subscription]
else:
    WaitingForm, PeriodInline = forms.ModelForm, admin.TabularInline


class NeedsOperator(admin.SimpleListFilter):
    """Those rows alone that wait for the operator. waiting: what picks them."""

    title = _("operator")
    parameter_name = "waiting"
    waiting: ClassVar[Callable[[], QuerySet[Any]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        """Return the one choice beside all."""
        return [("yes", _("needed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        """Return the rows that are chosen."""
        if self.value() != "yes":
            return queryset
        return queryset.filter(pk__in=type(self).waiting().values("pk"))


class EventNeedsOperator(NeedsOperator):
    """Events with a note of what still waits."""

    waiting = staticmethod(waiting.noted_events)


class CustomerNeedsOperator(NeedsOperator):
    """Customers of nobody."""

    waiting = staticmethod(waiting.customers)


class SubscriptionNeedsOperator(NeedsOperator):
    """Subscriptions to a price that no plan has."""

    waiting = staticmethod(waiting.subscriptions)


class CheckoutNeedsOperator(NeedsOperator):
    """Paid purchases of nobody, or of nothing."""

    waiting = staticmethod(waiting.purchases)


@admin.register(StripeEvent)
class StripeEventAdmin(ReadOnly):
    """The inbox: each event of Stripe's, newest first."""

    list_display = ("event_id", "type", "happened", "received_at", "customer_id", "note")
    list_filter = (EventNeedsOperator, "type")
    search_fields = ("event_id__exact", "customer_id__exact")
    search_help_text = _("The whole id of an event or a customer")
    fields = (
        *("event_id", "type", "happened", "received_at", "customer_id", "note"),
        "content",
    )
    readonly_fields = ("happened", "content")
    ordering = ("-id",)
    show_full_result_count = False

    @admin.display(description=_("created"), ordering="created")
    def happened(self, event: StripeEvent) -> str:
        """Return when it happened at Stripe."""
        return moment(event.created)

    @admin.display(description=_("content"))
    def content(self, event: StripeEvent) -> str:
        """Return the payload, a field on each line."""
        return format_html("<pre>{}</pre>", _indented(event.payload))


class Refused(Exception):
    """What an operator said cannot be done; one sentence."""


class WaitingAdmin(ReadOnly):
    """Rows of Stripe's facts, to which an operator may add what is missing."""

    form: Any
    facts: tuple[str, ...]
    waiting: ClassVar[Callable[[], QuerySet[Any]]]

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether somebody may say what is missing, where something is."""
        is_waiting = obj is None or type(self).waiting().filter(pk=obj.pk).exists()
        return is_waiting and admin.ModelAdmin.has_change_permission(self, request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return the facts, and what is to be said where something is missing."""
        facts = (None, {"fields": self.facts})
        if not self.has_change_permission(request, obj):
            return (facts,)
        form = self.form_for(obj)
        return (facts, (form.title, {"fields": tuple(form.declared_fields)}))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return what may be said of a row."""
        return super().get_form(request, obj, change, **{"form": self.form_for(obj), **kwargs})

    def form_for(self, row: Any) -> Any:  # noqa: ARG002
        """Return the form with what may be said of a row."""
        return self.form

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Model | None = None,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Return that all facts are to be read."""
        return self.facts

    def changeform_view(self, request: HttpRequest, object_id: Any = None, *rest: Any) -> Any:
        """Answer with the form; what it does is one transaction, in the ledger's turn.

        Django's own would take SQLite's lock before that.
        """
        if request.method != "POST":
            return super().changeform_view(request, object_id, *rest)
        try:
            with ledger.together():
                return super().changeform_view(request, object_id, *rest)
        except (Refused, AccountGone) as refused:
            said = gettext("The user is gone.") if isinstance(refused, AccountGone) else refused
            self.message_user(request, str(said), messages.ERROR)
            return redirect(request.path)

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: Any,
        change: bool,  # noqa: ARG002
    ) -> None:
        """Do what the form says; the row itself is not written here. Raises Refused."""
        try:
            self.complete(obj, {**form.cleaned_data, "operator": request.user.get_username()})
        except ValueError as error:
            raise Refused(str(error)) from error

    def complete(self, row: Any, said: dict[str, Any]) -> None:
        """Do what an operator said of a row. Raises ValueError with a sentence."""
        raise NotImplementedError

    def construct_change_message(
        self,
        request: HttpRequest,  # noqa: ARG002
        form: Any,
        formsets: Any,  # noqa: ARG002
        add: bool = False,  # noqa: ARG002
    ) -> Any:
        """Return what the history says, beside who it was."""
        return ", ".join(f"{name}: {value}" for name, value in form.cleaned_data.items())


class OwnerForm(WaitingForm):
    """Whose something is."""

    title = _("Complete")
    owner = forms.EmailField(label=_("The user's e-mail address"))

    def clean_owner(self) -> User:
        """Return the user with the address. Raises ValidationError."""
        try:
            return User.objects.get_by_natural_key(self.cleaned_data["owner"])
        except User.DoesNotExist:
            raise ValidationError(_("Nobody here has this address.")) from None


class CustomerForm(OwnerForm):
    """Whom a customer is."""

    class Meta:
        model = Customer
        fields = ()


class UnlinkForm(WaitingForm):
    """That a customer is not who it was taken for."""

    title = _("Unlink")
    unlink = forms.BooleanField(
        label=_("This is somebody else"),
        help_text=_(
            "The customer will be nobody’s again, and its subscriptions will no longer count for "
            "this user. Credits that were bought stay."
        ),
    )

    class Meta:
        model = Customer
        fields = ()

    def clean_unlink(self) -> str:
        """Return who the customer was, for the history."""
        customer: Any = self.instance
        return str(customer.user)


class PurchaseForm(OwnerForm):
    """Whose a purchase is, and what it brings."""

    brings = forms.IntegerField(
        label=_("Prepaid credits"), min_value=1, max_value=MAX_CREDITS, required=True
    )

    class Meta:
        model = Checkout
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        purchase: Any = self.instance
        self.initial["owner"] = purchase.user.email if purchase.user else purchase.email
        self.initial["brings"] = purchase.credits
        # What Stripe told is not the operator's to change.
        self.fields["owner"].disabled = purchase.user is not None
        self.fields["brings"].disabled = purchase.credits is not None


@admin.register(Customer)
class CustomerAdmin(WaitingAdmin):
    """Stripe's customers, and whom each of them is here."""

    form: Any = CustomerForm
    facts = ("customer_id", "user", "bought_as")
    waiting = staticmethod(waiting.customers)
    list_display = ("customer_id", "user", "bought_as")
    list_filter = (CustomerNeedsOperator,)
    list_select_related = ("user",)
    search_fields = ("customer_id__exact", "user__email")
    search_help_text = _("The whole id of a customer, or a part of the user's address")
    ordering = ("customer_id",)
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether somebody may say whom a customer is, or that it is not."""
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def form_for(self, row: Any) -> Any:
        """Return the form that links a customer, or ends that."""
        return self.form if row is None or row.user_id is None else UnlinkForm

    @admin.display(description=_("e-mail address"))
    def bought_as(self, customer: Customer) -> str:
        """Return the addresses that the customer wrote at Checkout."""
        bought = Checkout.objects.filter(customer_id=customer.pk).exclude(email="")
        return ", ".join(bought.order_by("email").values_list("email", flat=True).distinct())

    def complete(self, row: Any, said: dict[str, Any]) -> None:
        """Link the customer to the user, or to nobody. Raises ValueError with a sentence."""
        if "unlink" in said:
            linking.unlink(row.pk)
            return
        linking.link(row.pk, said["owner"].pk)


@admin.register(Checkout)
class CheckoutAdmin(WaitingAdmin):
    """What was bought at Checkout."""

    form: Any = PurchaseForm
    facts = (
        *("session_id", "mode", "user", "happened", "is_paid", "price", "credits", "taken_back"),
        *("email", "reference", "customer_id", "subscription_id", "payment_intent"),
    )
    waiting = staticmethod(waiting.purchases)
    list_display = (
        *("session_id", "mode", "user", "email", "happened", "is_paid", "price"),
        *("credits", "taken_back"),
    )
    list_filter = (CheckoutNeedsOperator, "mode", "is_paid")
    list_select_related = ("user",)
    search_fields = (
        *(
            "user__email",
            "=email",
            "session_id__exact",
            "customer_id__exact",
            "payment_intent__exact",
        ),
    )
    search_help_text = _("An address, or the whole id of a session, a customer or a payment")
    ordering = ("-created", "session_id")
    show_full_result_count = False

    @admin.display(description=_("created"), ordering="created")
    def happened(self, checkout: Checkout) -> str:
        """Return when Stripe told of it first."""
        return moment(checkout.created)

    @admin.display(description=_("amount"), ordering="amount")
    def price(self, checkout: Checkout) -> str:
        """Return what was paid."""
        return money(checkout.amount, checkout.currency)

    def complete(self, row: Any, said: dict[str, Any]) -> None:
        """Give the user the credits. Raises ValueError with a sentence."""
        linking.complete(row.pk, said["owner"].pk, said["brings"], note=said["operator"])


class Periods(PeriodInline):
    """The periods of a subscription, newest first."""

    model = BillingPeriod
    fields = ("begins", "ends", "plan", "credits", "prices")
    readonly_fields = fields
    ordering = ("-start",)
    extra = 0
    can_delete = False

    @admin.display(description=_("start"))
    def begins(self, period: BillingPeriod) -> str:
        """Return the first moment."""
        return moment(period.start)

    @admin.display(description=_("end"))
    def ends(self, period: BillingPeriod) -> str:
        """Return the moment after the last."""
        return moment(period.end)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Return that nobody may: Stripe tells of them."""
        return False


@admin.register(Subscription)
class SubscriptionAdmin(ReadOnly):
    """Stripe's subscriptions, as the newest events tell them."""

    list_display = ("subscription_id", "customer", "user", "status", "every", "told_to_end")
    list_filter = (SubscriptionNeedsOperator, "status")
    list_select_related = ("customer__user",)
    fields = list_display
    readonly_fields = ("user", "every", "told_to_end")
    search_fields = (
        "customer__user__email",
        "subscription_id__exact",
        "customer__customer_id__exact",
    )
    search_help_text = _("The user's address, or the whole id of a subscription or a customer")
    ordering = ("subscription_id",)
    show_full_result_count = False
    inlines: ClassVar[list[Any]] = [Periods]

    @admin.display(description=_("user"), ordering="customer__user")
    def user(self, subscription: Subscription) -> User | None:
        """Return whose it is."""
        return subscription.customer.user

    @admin.display(description=_("price for"))
    def every(self, subscription: Subscription) -> str:
        """Return the interval of its price, in Stripe's words."""
        return f"{subscription.interval_count} × {subscription.interval or '?'}"

    @admin.display(description=_("told to end at"), ordering="ends_at")
    def told_to_end(self, subscription: Subscription) -> str | None:
        """Return when it was told to end."""
        return None if subscription.ends_at is None else moment(subscription.ends_at)


@admin.register(Reversal)
class ReversalAdmin(ReadOnly):
    """Refunds and disputes."""

    list_display = ("stripe_id", "payment_intent", "price")
    fields = list_display
    readonly_fields = ("price",)
    search_fields = ("stripe_id__exact", "payment_intent__exact")
    ordering = ("stripe_id",)
    show_full_result_count = False

    @admin.display(description=_("amount"), ordering="amount")
    def price(self, reversal: Reversal) -> str:
        """Return how much went back, in the currency of the payment if that is known."""
        paid = Checkout.objects.filter(payment_intent=reversal.payment_intent).first()
        return money(reversal.amount, paid.currency) if paid else str(reversal.amount)


def notices() -> list[SafeString]:
    """Return a sentence for each kind of thing that waits for an operator, as HTML with a link."""
    customers, prices = waiting.customers().count(), waiting.subscriptions().count()
    purchases = waiting.purchases().count()
    counted = (
        (
            customers,
            "customer",
            ngettext(
                "%(n)d customer of Stripe waits: nobody here is known to be it.",
                "%(n)d customers of Stripe wait: nobody here is known to be them.",
                customers,
            ),
        ),
        (
            prices,
            "subscription",
            ngettext(
                "%(n)d subscription is to a price that no plan has.",
                "%(n)d subscriptions are to prices that no plan has.",
                prices,
            ),
        ),
        (
            purchases,
            "checkout",
            ngettext(
                "%(n)d paid purchase waits for a user or for its number of credits.",
                "%(n)d paid purchases wait for a user or for their number of credits.",
                purchases,
            ),
        ),
    )
    waiting_for = [
        format_html('<a href="{}?waiting=yes">{}</a>', _list(name), sentence % {"n": count})
        for count, name, sentence in counted
        if count
    ]
    return [*_nothing_for_sale(), *waiting_for]


def _nothing_for_sale() -> list[SafeString]:
    """Return a sentence when things could be sold and none has a price."""
    offers = (Plan, CreditPack)
    if not settings.OPENREMBG.sells or any(
        offer._default_manager.filter(stripe_price_id__isnull=False).exists() for offer in offers
    ):
        return []
    text = gettext("Stripe is set up, but no plan and no pack has a price, so nothing is for sale.")
    return [format_html('<a href="{}">{}</a>', reverse("admin:billing_plan_changelist"), text)]


def _list(name: str) -> str:
    return reverse(f"admin:billing_{name}_changelist")


def _indented(payload: str) -> str:
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except ValueError:
        return payload
