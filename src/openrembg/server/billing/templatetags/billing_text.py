"""Numbers and moments in the templates of billing, in the digits of the page's language."""

import datetime as dt

from django import template
from django.utils.formats import date_format

from openrembg.server.billing import money

register = template.Library()


@register.filter
def number(value: int) -> str:
    """Return a number with separators."""
    return money.number(value)


@register.filter
def moment(when: int | dt.datetime) -> str:
    """Return a moment (Unix seconds, or aware) as people write it."""
    utc = when if isinstance(when, dt.datetime) else dt.datetime.fromtimestamp(when, dt.UTC)
    return f"{money.digits(date_format(utc, 'DATETIME_FORMAT'))} UTC"


@register.filter
def machine_moment(seconds: int) -> str:
    """Return a moment (Unix seconds) as the attribute `datetime` has it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat()
