"""The forms of a user's keys."""

import datetime as dt
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.models import MAX_NAME, ApiKey
from openrembg.server.accounts.once import MAX_CHARS, fresh_ticket

MAX_CAP: Final = 1_000_000_000_000
# The end of a later day would be after the last moment that there is.
LAST_DAY: Final = dt.date(9998, 12, 31)
DAY: Final = dt.timedelta(days=1)
MOMENT: Final = dt.timedelta(microseconds=1)

OVERLAPS: Final = (
    (0, _("not at all")),
    (3600, _("for 1 hour")),
    (24 * 3600, _("for 24 hours")),
    (7 * 24 * 3600, _("for 7 days")),
)


class Ticket(forms.CharField):
    """What a form is known by when it is sent a second time."""

    widget = forms.HiddenInput

    def __init__(self) -> None:
        super().__init__(max_length=MAX_CHARS, initial=fresh_ticket)


class KeyForm(forms.Form):
    """What a key is called and how far it goes."""

    name = forms.CharField(
        label=_("Name"),
        max_length=MAX_NAME,
        required=False,
        help_text=_("For instance the program that will use the key."),
    )
    expires = forms.DateField(
        label=_("Expires"),
        required=False,
        input_formats=["%Y-%m-%d"],
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text=_("The last day on which the key works (UTC). Empty: it does not expire."),
    )
    monthly_cap = forms.IntegerField(
        label=_("Credits a month"),
        required=False,
        min_value=0,
        max_value=MAX_CAP,
        help_text=_(
            "The most that the key may use in a calendar month (UTC). Empty: no cap. "
            "With 0 it makes no pictures."
        ),
    )

    def clean_expires(self) -> dt.date | None:
        """Refuse a day that has passed."""
        day: dt.date | None = self.cleaned_data["expires"]
        if day is None:
            return None
        if day < timezone.now().astimezone(dt.UTC).date():
            raise ValidationError(_("This day has passed."))
        if day > LAST_DAY:
            raise ValidationError(_("This day is too far away."))
        return day

    @property
    def facts(self) -> dict[str, Any]:
        """What the form says, as the keys' functions take it."""
        day: dt.date | None = self.cleaned_data["expires"]
        return {
            "name": self.cleaned_data["name"],
            "expires_at": None if day is None else _start(day + DAY),
            "monthly_cap": self.cleaned_data["monthly_cap"],
        }


class NewKeyForm(KeyForm):
    """A key that is to be made."""

    ticket = Ticket()


class ChangeKeyForm(KeyForm):
    """A key that is there."""

    def __init__(self, key: ApiKey, data: Any = None) -> None:
        ends = key.expires_at
        day = None if ends is None else (ends - MOMENT).astimezone(dt.UTC).date()
        initial = {"name": key.name, "expires": day, "monthly_cap": key.monthly_cap}
        super().__init__(data, initial=initial)
        self._ends = ends

    @property
    def facts(self) -> dict[str, Any]:
        """What the form says; the moment of an unchanged day stays, whatever the hour."""
        if "expires" in self.changed_data:
            return super().facts
        return {**super().facts, "expires_at": self._ends}


class RotateForm(forms.Form):
    """A key that is to get a new text."""

    overlap = forms.TypedChoiceField(
        label=_("The old key goes on working"), choices=OVERLAPS, coerce=int, initial=24 * 3600
    )
    ticket = Ticket()

    @property
    def lasts(self) -> dt.timedelta:
        """For how long the old text goes on working."""
        return dt.timedelta(seconds=self.cleaned_data["overlap"])


def _start(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
