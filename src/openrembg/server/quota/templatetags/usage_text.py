"""Days in the templates about usage, in the digits of the page's language."""

import datetime as dt

from django import template
from django.utils.formats import date_format, get_format

from openrembg.server.billing import money

register = template.Library()


@register.filter
def day(value: int | dt.date) -> str:
    """Return a day (UTC), or the one that a moment (Unix seconds) falls into."""
    return money.digits(date_format(_date(value), "DATE_FORMAT"))


@register.filter
def day_of_year(value: int | dt.date) -> str:
    """Return the same without the year, the month's name shortened."""
    short = get_format("MONTH_DAY_FORMAT").replace("F", "M")
    return money.digits(date_format(_date(value), short))


@register.filter
def machine_day(value: int | dt.date) -> str:
    """Return a day as the attribute `datetime` has it."""
    return _date(value).isoformat()


def _date(value: int | dt.date) -> dt.date:
    return value if isinstance(value, dt.date) else dt.datetime.fromtimestamp(value, dt.UTC).date()
