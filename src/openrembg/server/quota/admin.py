"""Credits on the admin pages: all may be read, and a balance changes through the ledger alone."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db.models import Model, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.models import User
from openrembg.server.billing.models import Plan
from openrembg.server.quota import ledger
from openrembg.server.quota.models import (
    MAX_REFERENCE,
    Balance,
    Day,
    LedgerEntry,
    Reservation,
    Window,
)
from openrembg.server.web.operators import ReadOnly, RowAdmin, moment

MAX_CREDITS: Final = 10**12
BALANCE_FACTS: Final = (*("user", "plan", "prepaid", "prepaid_held", "period", "entries", "head"),)

if TYPE_CHECKING:  # Django's own class takes no parameters.
    BalanceForm = forms.ModelForm[Balance]
else:
    BalanceForm = forms.ModelForm


class Change(BalanceForm):
    """What an operator wants to do with a balance: one thing at a time."""

    grant = forms.IntegerField(
        label=_("Grant prepaid credits"), min_value=1, max_value=MAX_CREDITS, required=False
    )
    take_back = forms.IntegerField(
        label=_("Take prepaid credits back"),
        help_text=_("At most so many; those of pictures in work stay."),
        min_value=1,
        max_value=MAX_CREDITS,
        required=False,
    )
    new_plan = forms.ModelChoiceField(Plan.objects.all(), label=_("Give a plan"), required=False)
    note = forms.CharField(
        label=_("Note"),
        help_text=_("Why. The ledger keeps it for ever, with your address."),
        max_length=MAX_REFERENCE,
        required=False,
    )

    class Meta:
        model = Balance
        fields = ()

    def clean(self) -> dict[str, Any]:
        """Refuse two things at once: the ledger would not say which note is whose."""
        wanted = [
            name for name in ("grant", "take_back", "new_plan") if self.cleaned_data.get(name)
        ]
        if len(wanted) > 1:
            raise ValidationError(_("Do one thing at a time."))
        if not wanted and not self.errors:
            raise ValidationError(_("Say what is to be done."))
        return self.cleaned_data


@admin.register(Balance)
class BalanceAdmin(RowAdmin):
    """What each user has."""

    form: Any = Change
    list_display = ("user", "plan", "prepaid", "prepaid_held", "period", "entries")
    list_filter = ("plan",)
    list_select_related = ("user", "plan")
    search_fields = ("user__email",)
    ordering = ("-user",)
    show_full_result_count = False
    readonly_fields = BALANCE_FACTS
    fieldsets = (
        (None, {"fields": BALANCE_FACTS}),
        (_("Change"), {"fields": ("grant", "take_back", "new_plan", "note")}),
    )

    @admin.display(description=_("billing period"))
    def period(self, balance: Balance) -> str | None:
        """Return the billing period in words."""
        if balance.period_start is None or balance.period_end is None:
            return None
        return f"{moment(balance.period_start)} – {moment(balance.period_end)}"

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return that nobody may: a user comes with one."""
        return False

    def has_delete_permission(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Model | None = None,  # noqa: ARG002
    ) -> bool:
        """Return that nobody may."""
        return False

    def changeform_view(self, request: HttpRequest, object_id: Any = None, *rest: Any) -> Any:
        """Answer with the form; a change of it happens with the balance locked.

        Django's own transaction would take SQLite's lock before the ledger's turn.
        """
        changes = request.method == "POST" and object_id is not None
        found = self.get_object(request, unquote(object_id)) if changes else None
        with ledger.changing(found.pk) if found else nullcontext():
            return super().changeform_view(request, object_id, *rest)

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: Any,
        change: bool,  # noqa: ARG002
    ) -> None:
        """Let the ledger do what the form says; the row itself is not written here."""
        wanted = form.cleaned_data
        note = _note(request, wanted["note"])
        if wanted["grant"]:
            ledger.top_up(obj.pk, wanted["grant"], note=note)
        if wanted["new_plan"]:
            ledger.set_plan(obj.pk, wanted["new_plan"], note=note)
        if wanted["take_back"]:
            taken = ledger.take_back(obj.pk, wanted["take_back"], note=note)
            said = ngettext("%(n)d credit was taken.", "%(n)d credits were taken.", taken)
            self.message_user(request, said % {"n": taken}, messages.INFO)

    def construct_change_message(
        self,
        request: HttpRequest,  # noqa: ARG002
        form: Any,
        formsets: Any,  # noqa: ARG002
        add: bool = False,  # noqa: ARG002
    ) -> Any:
        """Return what the history says: which change it was, and its size."""
        facts = {name: str(value) for name, value in form.cleaned_data.items() if value}
        return ", ".join(f"{name}: {value}" for name, value in facts.items())


@admin.register(Window)
class WindowAdmin(ReadOnly):
    """What was used in calendar months and billing periods."""

    list_display = (
        *("user", "kind", "begins", "ends", "credits"),
        *("app", "api", "prepaid_app", "prepaid_api", "held", "synced"),
    )
    list_filter = ("kind", "synced")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("-start", "user")
    show_full_result_count = False

    @admin.display(description=_("begins"), ordering="start")
    def begins(self, window: Window) -> str:
        """Return the first moment."""
        return moment(window.start)

    @admin.display(description=_("ends"), ordering="end")
    def ends(self, window: Window) -> str | None:
        """Return the moment after the last, of a billing period."""
        return None if window.end is None else moment(window.end)


@admin.register(Day)
class DayAdmin(ReadOnly):
    """What was used on each day, through each key."""

    list_display = ("user", "day", "key", "included", "prepaid")
    list_select_related = ("user", "key")
    search_fields = ("user__email",)
    ordering = ("-day", "user")
    show_full_result_count = False


@admin.register(Reservation)
class ReservationAdmin(ReadOnly):
    """Credits that are held for pictures in work."""

    list_display = ("id", "user", "channel", "source", "deadline")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    ordering = ("deadline",)


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnly):
    """The ledger, newest first."""

    list_display = (
        *("account", "number", "at", "event", "included", "prepaid"),
        *("channel", "key_id", "plan", "note"),
    )
    list_display_links = ("number",)
    list_filter = ("event", "channel")
    search_fields = ("reference",)
    search_help_text = _("The user's e-mail address or number, or the whole of a reference")
    ordering = ("-id",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the entries, each with its user's address while there is one."""
        address = User.objects.filter(pk=OuterRef("user_id")).values("email")
        entries: Any = super().get_queryset(request).annotate(email=Subquery(address))
        return cast(QuerySet[Any], entries)

    @admin.display(description=_("user"), ordering="user_id")
    def account(self, entry: Any) -> str:
        """Return who it is about."""
        return entry.email or gettext("deleted user %(id)d") % {"id": entry.user_id}

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Any],
        search_term: str,
    ) -> tuple[QuerySet[Any], bool]:
        """Return what belongs to a user or has a reference: what an index finds at once."""
        term = search_term.strip()
        if not term:
            return queryset, False
        users = User.objects.filter(email__icontains=term).values("pk")
        wanted = Q(user_id__in=users) | Q(reference=term)
        if term.isascii() and term.isdigit() and len(term) < 19:
            wanted |= Q(user_id=int(term))
        return queryset.filter(wanted), False


def _note(request: HttpRequest, words: str) -> str:
    """Return what the ledger keeps: who did it, and why."""
    who = request.user.get_username()
    return (f"{who}: {words}" if words else who)[:MAX_REFERENCE]
