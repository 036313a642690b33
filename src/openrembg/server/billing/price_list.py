"""How an offer reads on a page: its credits and its price, in the reader's language."""

from dataclasses import dataclass
from typing import Final, Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from openrembg.server.billing.models import FREE, CreditPack, Plan
from openrembg.server.billing.money import money, number

EACH: Final[dict[str, Promise]] = {
    "day": gettext_lazy("%(amount)s a day"),
    "week": gettext_lazy("%(amount)s a week"),
    "month": gettext_lazy("%(amount)s a month"),
    "year": gettext_lazy("%(amount)s a year"),
}

Way = Literal["buy", "change", "none"]


@dataclass(frozen=True, slots=True)
class OfferLine:
    """An offer as a list shows it. way: what its button does, if it has one."""

    offer: Plan | CreditPack
    credits: str
    price: str
    way: Way
    is_mine: bool = False

    @property
    def is_free(self) -> bool:
        """Whether everybody with an account has it."""
        return self.offer.label == FREE


def plan_line(plan: Plan, way: Way, *, is_mine: bool) -> OfferLine:
    """Return a plan as a list shows it: so many credits, so much money, for each period."""
    each = EACH[plan.interval]
    amount = _price(plan)
    return OfferLine(
        offer=plan,
        credits=str(each) % {"amount": number(plan.credits)},
        price=amount and str(each) % {"amount": amount},
        way=way,
        is_mine=is_mine,
    )


def pack_line(pack: CreditPack, way: Way) -> OfferLine:
    """Return a credit pack as a list shows it."""
    return OfferLine(offer=pack, credits=number(pack.credits), price=_price(pack), way=way)


def _price(offer: Plan | CreditPack) -> str:
    if offer.price_cents is None or not offer.currency:
        return ""
    return money(offer.price_cents, offer.currency)
