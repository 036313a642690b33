"""Amounts and numbers as readers of a page write them: separators, digits, places after the point.

Stripe counts an amount in the currency's smallest unit: https://docs.stripe.com/currencies
"""

from typing import Final

from django.utils import numberformat
from django.utils.formats import get_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

# https://docs.stripe.com/currencies#zero-decimal
WHOLE: Final = frozenset(
    (
        *("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA"),
        *("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"),
    )
)
# https://docs.stripe.com/currencies#three-decimal
THOUSANDTHS: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))

_PERSIAN: Final = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")
_PERSIAN_DIGITS: Final = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def places(currency: str) -> int:
    """Return how many digits of an amount in the smallest unit come after the point."""
    if currency.upper() in WHOLE:
        return 0
    return 3 if currency.upper() in THOUSANDTHS else 2


def money(amount: int, currency: str) -> str:
    """Return an amount in the smallest unit in the page's language: 120000 of EUR: 1,200.00 EUR."""
    after = places(currency)
    whole, rest = divmod(amount, 10**after)
    text = f"{whole}.{rest:0{after}}" if after else str(whole)
    facts = {"amount": _localized(text, after), "currency": currency.upper()}
    return _("%(amount)s %(currency)s") % facts


def number(value: int) -> str:
    """Return a number in the page's language: 20000: 20,000."""
    return _localized(str(value), 0)


def digits(text: str) -> str:
    """Return a text with the digits of the page's language; a moment, for instance."""
    return text.translate(_PERSIAN_DIGITS) if get_language() == "fa" else text


def _localized(text: str, after: int) -> str:
    # In groups of three everywhere: Django has none for Persian, nor its digits.
    grouped = numberformat.format(
        text,
        get_format("DECIMAL_SEPARATOR"),
        after,
        grouping=3,
        thousand_sep=get_format("THOUSAND_SEPARATOR"),
        force_grouping=True,
        use_l10n=True,
    )
    return grouped.translate(_PERSIAN) if get_language() == "fa" else grouped
