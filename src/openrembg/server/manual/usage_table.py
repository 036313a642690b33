"""What GET /api/membership-usage takes and answers, for the documentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from openrembg.server.manual.prose import in_html
from openrembg.server.quota.description import PARAMETERS, SCHEMAS


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter or a field of an answer. example: a value that it may have."""

    name: str
    example: str
    about: SafeString


_PARAMETERS: Final[Mapping[str, str]] = {
    "year": gettext_noop(
        "A calendar year from 1 to 9999, in UTC. Left out, it is the present one."
    ),
    "month": gettext_noop(
        "A calendar month from 1 to 12, in UTC. Left out, it is the present one."
    ),
    "periodStartUnix": gettext_noop(
        "The billing period that begins at this second, in place of a calendar month. A start that "
        "is not known has zeros. Not together with `year` or `month`."
    ),
    "expand": gettext_noop(
        "What to add, with commas between: `billing_cycle` adds the object `billingCycle`."
    ),
    "includeBillingCycle": gettext_noop("`1` or `true` adds `billingCycle` too."),
    "listBillingCycles": gettext_noop(
        "`1` or `true` answers with the list of billing periods instead. All other parameters are "
        "ignored then."
    ),
}
_ANSWER: Final[Mapping[str, str]] = {
    "membership": gettext_noop("The name of the plan, for people. Do not take it apart."),
    "credits": gettext_noop("The credits that the plan includes, not what is left of them."),
    "prepaidCredits": gettext_noop("The prepaid credits that are left now."),
    "app_usage": gettext_noop("Included credits used in the editor of this site."),
    "api_usage": gettext_noop("Included credits used with API keys."),
    "billingCycle": gettext_noop("The billing period, when it was asked for."),
}
_CYCLE: Final[Mapping[str, str]] = {
    "periodStartUnix": gettext_noop("When the period begins, in Unix seconds."),
    "periodEndUnix": gettext_noop("When it ends, in Unix seconds."),
    "appUsage": gettext_noop("Included credits used in the editor of this site."),
    "apiUsage": gettext_noop("Included credits used with API keys."),
    "includedCredits": gettext_noop("The credits that the plan includes in this period."),
    "prepaidCredits": gettext_noop("The prepaid credits that are left now."),
    "usedIncludedCredits": gettext_noop("Included credits used in all: `appUsage` and `apiUsage`."),
    "remainingIncludedCredits": gettext_noop("Included credits that are left, never below 0."),
    "stripeBillingSynced": gettext_noop(
        "`true` for a billing period of Stripe's, `false` for the calendar month that stands in "
        "for one."
    ),
}


def parameters() -> tuple[Named, ...]:
    """Return every parameter, in the language of the moment."""
    return tuple(
        _named(one["name"], one["example"], _PARAMETERS[one["name"]]) for one in PARAMETERS
    )


def answer() -> tuple[Named, ...]:
    """Return every field of the answer."""
    return _properties("MembershipUsage", _ANSWER)


def cycle() -> tuple[Named, ...]:
    """Return every field of a billing period."""
    return _properties("BillingCycle", _CYCLE)


def _properties(schema: str, words: Mapping[str, str]) -> tuple[Named, ...]:
    properties: Mapping[str, Mapping[str, Any]] = SCHEMAS[schema]["properties"]
    return tuple(
        _named(name, next(iter(one.get("examples", ("",)))), words[name])
        for name, one in properties.items()
    )


def _named(name: str, example: object, about: str) -> Named:
    written = str(example).lower() if isinstance(example, bool) else str(example)
    return Named(name, written, in_html(gettext(about)))
