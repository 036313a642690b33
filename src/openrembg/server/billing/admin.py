"""Plans and credit packs on the admin pages; stripe_admin.py has what Stripe told."""

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from openrembg.server.billing import stripe_admin
from openrembg.server.billing.models import CreditPack, Offer, Plan, PlanPrice
from openrembg.server.billing.money import money
from openrembg.server.billing.offers import (
    is_free,
    is_price_id,
    namesake,
    seller_of,
    stood_for,
)
from openrembg.server.billing.subscriptions import reprice
from openrembg.server.web.operators import RowAdmin

# Django looks for pages in this module alone.
__all__ = ("CreditPackAdmin", "PlanAdmin", "stripe_admin")

if TYPE_CHECKING:  # Django's own class takes no parameters.
    OfferForm = forms.ModelForm[Offer]
    PriceForm = forms.ModelForm[PlanPrice]
    PriceForms = forms.BaseInlineFormSet[PlanPrice, Plan, forms.ModelForm[PlanPrice]]
    PriceRows = admin.TabularInline[PlanPrice, Plan]
else:
    OfferForm = PriceForm = forms.ModelForm
    PriceForms = forms.BaseInlineFormSet
    PriceRows = admin.TabularInline


class PricedForm(OfferForm):
    """An offer with its price."""

    def clean_label(self) -> str:
        """Return the label, which no offer of the other kind has. Raises ValidationError."""
        label = str(self.cleaned_data["label"])
        if "label" in self.changed_data and namesake(label, type(self.instance)):
            raise ValidationError(_("A plan and a credit pack cannot have the same label."))
        return label

    def clean_currency(self) -> str:
        """Return three capital letters, or none. Raises ValidationError."""
        currency = str(self.cleaned_data["currency"]).upper()
        if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            raise ValidationError(_("A currency has three letters."))
        return currency

    def clean_stripe_price_id(self) -> str | None:
        """Return the price that nothing else is sold at, None for none. Raises ValidationError."""
        price_id = (self.cleaned_data["stripe_price_id"] or "").strip()
        if not price_id:
            return None
        _check_price(price_id, self.instance)
        return price_id

    def clean(self) -> dict[str, Any]:
        """Refuse an amount of no currency."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        has_currency = bool(said.get("currency")) or "currency" in self.errors
        if said.get("price_cents") is not None and not has_currency:
            self.add_error("currency", _("A price needs a currency."))
        return said


class OfferAdmin(RowAdmin):
    """What plans and packs have in common."""

    form: Any = PricedForm
    ordering = ("credits", "label")
    search_fields = ("label", "stripe_price_id")

    @admin.display(description=_("price"), ordering="price_cents")
    def price(self, offer: Any) -> str | None:
        """Return the price that is shown."""
        return None if offer.price_cents is None else money(offer.price_cents, offer.currency)


class PlanPriceForm(PriceForm):
    """One price that stands for a plan: it is added or deleted, and never changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            # Sent all the same: it says which row is meant.
            self.fields["price_id"].widget.attrs["readonly"] = True

    def clean_price_id(self) -> str:
        """Return a price that stands for nothing else. Raises ValidationError."""
        price_id = str(self.cleaned_data["price_id"])
        if not self.instance._state.adding:
            return price_id
        _check_price(price_id, Plan.objects.filter(pk=self.instance.plan_id).first())
        had = stood_for(price_id)
        if had is not None:
            said = gettext("This price stands for the plan “%(label)s” already.")
            raise ValidationError(said % {"label": had.label})
        return price_id


class PlanPriceForms(PriceForms):
    """All prices that stand for a plan; the one that it is sold at is among them."""

    def clean(self) -> None:
        """Refuse to change a price, or to delete that of Checkout. Raises ValidationError."""
        super().clean()
        deleted = self.deleted_forms
        kept = [form for form in self.initial_forms if form not in deleted]
        if any(form.instance._state.adding for form in kept):
            said = gettext("A price does not change; delete it, and add another.")
            raise ValidationError(said)
        if any(form.instance.pk == self.instance.stripe_price_id for form in deleted):
            said = gettext("The plan is sold at %(price)s; it cannot be deleted here.")
            raise ValidationError(said % {"price": self.instance.stripe_price_id})

    def delete_existing(self, obj: Any, commit: bool = True) -> None:
        """Delete a price, and leave the object its name for the history."""
        if commit:
            PlanPrice.objects.filter(pk=obj.pk).delete()


class PlanPriceInline(PriceRows):
    """The prices that stand for a plan."""

    model = PlanPrice
    form = PlanPriceForm
    formset = PlanPriceForms
    extra = 0


@admin.register(Plan)
class PlanAdmin(OfferAdmin):
    """What there is to have. The plan of those who have none keeps its name and stays."""

    list_display = (
        *("label", "credits", "per_minute", "price", "interval", "stripe_price_id", "users"),
    )
    inlines = (PlanPriceInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the plans, each with the number of its users."""
        plans: Any = super().get_queryset(request).annotate(users=Count("balances"))
        return cast(QuerySet[Any], plans)

    @admin.display(description=_("users"), ordering="users")
    def users(self, plan: Any) -> int:
        """Return how many users have the plan."""
        return int(plan.users)

    def get_readonly_fields(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Model | None = None,
    ) -> tuple[str, ...]:
        """Return what may not be changed."""
        return ("label",) if is_free(obj) else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Return whether a plan may be deleted; one that somebody has is kept by the database."""
        return not is_free(obj) and super().has_delete_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Keep the plan; those who pay a price that is new to it get it, once that is kept."""
        super().save_model(request, obj, form, change)
        if obj.stripe_price_id and "stripe_price_id" in form.changed_data:
            transaction.on_commit(partial(self._reprice, request, obj.stripe_price_id))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Keep the prices that stand for the plan; those who pay one of them get it."""
        super().save_related(request, form, formsets, change)
        for price in (row for formset in formsets for row in formset.new_objects):
            transaction.on_commit(partial(self._reprice, request, price.pk))

    def _reprice(self, request: HttpRequest, price_id: str) -> None:
        # Not within Django's own transaction, which has SQLite's lock before the ledger's turn.
        count = reprice(price_id, timezone.now())
        said = ngettext("%(n)d account changed.", "%(n)d accounts changed.", count)
        self.message_user(request, said % {"n": count}, messages.INFO)


@admin.register(CreditPack)
class CreditPackAdmin(OfferAdmin):
    """Prepaid credits that are bought at once. What was bought stays as it was."""

    list_display = ("label", "credits", "price", "stripe_price_id")


def _check_price(price_id: str, offer: Offer | None) -> None:
    """Refuse a price of Stripe's that an offer cannot be sold at. Raises ValidationError."""
    if is_free(offer):
        raise ValidationError(_("Everybody has this plan for nothing; it cannot be sold."))
    if not is_price_id(price_id):
        raise ValidationError(_("A price looks like price_1PbQyZ."))
    seller = seller_of(price_id)
    if seller is not None and seller != offer:
        said = gettext("“%(label)s” is sold at this price already.")
        raise ValidationError(said % {"label": seller.label})
