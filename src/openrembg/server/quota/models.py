"""Credits: one append-only ledger, and the counters that can be rebuilt from it.

    LedgerEntry   the truth: what was charged, granted, taken back; one hash chain a user
    Balance       one row a user: plan, prepaid credits, billing period, the end of the chain
    Window        what one user used in one calendar month or one billing period
    KeyMonth      what one key used in one calendar month, for its cap
    Day           what one user used in one day through one key, for dashboards
    Reservation   a credit that is held while its picture is computed
    Delivery      a charge whose picture is not known to have been sent yet
    UsageWarning  a mail that tells a user how much of their credits is used
    UsageLook     how far the ledger was looked through for users to warn

Moments that bound a window are Unix seconds (UTC), as clients see them.
"""

import uuid
from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.models import DIGEST_CHARS, ApiKey
from openrembg.server.billing.models import MAX_LABEL, Plan

GENESIS = "0" * DIGEST_CHARS
MAX_REFERENCE = 255

CHANNELS = (("app", _("app")), ("api", _("API")))
SOURCES = (("included", _("included")), ("prepaid", _("prepaid")))
KINDS = (("month", _("calendar month")), ("cycle", _("billing period")))


def _not_negative(*names: str) -> models.Q:
    condition = Q()
    for name in names:
        condition &= Q(**{f"{name}__gte": 0})
    return condition


class Balance(models.Model):
    """What a user has: one row each, which is locked while it changes.

    prepaid: credits owned, those that are held (prepaid_held) among them.
    period_start, period_end: the billing period as Stripe last told it; it contains its start and
    not its end. next_end: where the period after it ends, which begins by itself when Stripe says
    nothing; None: the subscription ends with the period. entries, head: number and hash of the
    user's last ledger entry.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="balance"
    )
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="balances")
    prepaid = models.BigIntegerField(_("prepaid credits"), default=0)
    prepaid_held = models.BigIntegerField(default=0)
    period_start = models.BigIntegerField(null=True, blank=True)
    period_end = models.BigIntegerField(null=True, blank=True)
    next_end = models.BigIntegerField(null=True, blank=True)
    entries = models.BigIntegerField(default=0)
    head = models.CharField(max_length=DIGEST_CHARS, default=GENESIS)

    class Meta:
        verbose_name = _("balance")
        verbose_name_plural = _("balances")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=_not_negative("prepaid", "prepaid_held")
                & Q(prepaid_held__lte=F("prepaid")),
                name="prepaid_is_never_oversold",
            ),
            models.CheckConstraint(
                condition=Q(period_start__isnull=True, period_end__isnull=True)
                | Q(period_start__lt=F("period_end")),
                name="period_has_both_ends",
            ),
            models.CheckConstraint(
                condition=Q(next_end__isnull=True)
                | Q(period_end__isnull=False, next_end__gt=F("period_end")),
                name="next_period_follows",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # For those whose period ends and no other follows: few of many.
            models.Index(
                fields=["period_end"],
                condition=Q(period_end__isnull=False, next_end__isnull=True),
                name="periods_that_lapse",
            ),
        ]

    def __str__(self) -> str:
        # One query more where the user is not there yet; the pages show the user in any case.
        return str(self.user)


class Window(models.Model):
    """What a user used in a calendar month or in a billing period.

    app, api: included credits. prepaid_app, prepaid_api: prepaid ones. held: included credits that
    are reserved in the window that is enforced. end and credits are a billing period's alone;
    synced: Stripe told them.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="windows"
    )
    kind = models.CharField(max_length=5, choices=KINDS)
    start = models.BigIntegerField()
    end = models.BigIntegerField(null=True, blank=True)
    credits = models.PositiveBigIntegerField(null=True, blank=True)
    synced = models.BooleanField(default=False)
    app = models.BigIntegerField(default=0)
    api = models.BigIntegerField(default=0)
    prepaid_app = models.BigIntegerField(default=0)
    prepaid_api = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("usage window")
        verbose_name_plural = _("usage windows")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("user", "kind", "start"), name="one_window_a_start"),
            models.CheckConstraint(
                condition=_not_negative("app", "api", "prepaid_app", "prepaid_api", "held"),
                name="window_counts_up",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.kind} {self.start}"


class KeyMonth(models.Model):
    """What a key used in the calendar month that begins at `start`, of either kind of credit."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="months")
    start = models.BigIntegerField()
    used = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("key", "start"), name="one_month_a_key"),
            models.CheckConstraint(
                condition=_not_negative("used", "held"), name="key_month_counts_up"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key_id}: {self.start}"


class Day(models.Model):
    """What a user used in a day (UTC) through one key; without a key it was the app."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="days"
    )
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="days")
    day = models.DateField()
    included = models.BigIntegerField(default=0)
    prepaid = models.BigIntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("user", "day", "key"),
                condition=Q(key__isnull=False),
                name="one_day_a_key",
            ),
            models.UniqueConstraint(
                fields=("user", "day"), condition=Q(key__isnull=True), name="one_day_for_the_app"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.day}"


class Reservation(models.Model):
    """A credit that is held for one picture: it becomes a charge or goes back.

    month_start, cycle_start: the windows that the charge will count in. capped: the key's month
    holds it too. deadline: from then on nobody is believed to be computing the picture.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="reservations"
    )
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="+")
    channel = models.CharField(max_length=3, choices=CHANNELS)
    source = models.CharField(max_length=8, choices=SOURCES)
    month_start = models.BigIntegerField()
    cycle_start = models.BigIntegerField(null=True)
    capped = models.BooleanField(default=False)
    deadline = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.id)


class Delivery(models.Model):
    """A charge whose picture is on its way: forgotten when it was sent, undone when it was not.

    id: the reservation that became the charge, which is the charge's reference. deadline: from then
    on nobody is believed to be sending it. The row outlives its user, who is not asked for when
    charging; whoever looks after it then forgets it.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    user_id = models.BigIntegerField()
    deadline = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return str(self.id)


class UsageWarning(models.Model):
    """A mail about a window that is mostly used, or used up: one for each level and allowance.

    allowance: included credits of the window, when it was found. level: percent of them. due_at:
    when to try to send it, the first time or again; None: it was sent (sent_at) or given up.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="usage_warnings"
    )
    kind = models.CharField(max_length=5, choices=KINDS)
    start = models.BigIntegerField()
    allowance = models.BigIntegerField()
    level = models.PositiveSmallIntegerField()
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=("user", "kind", "start", "allowance", "level"), name="one_warning_a_level"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["due_at"], condition=Q(due_at__isnull=False), name="warnings_that_are_due"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.kind} {self.start}, {self.level} %"


class UsageLook(models.Model):
    """How far the ledger was looked through for users to warn; one row, for all servers.

    seen, before: the ledger's newest entry at the last look, and at the one before that. due_at:
    when the next look is.
    """

    seen = models.BigIntegerField(default=0)
    before = models.BigIntegerField(default=0)
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.seen)


class AppendOnly(models.QuerySet["LedgerEntry"]):
    """Entries are added and read; nothing changes or deletes one."""

    def update(self, **_fields: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("The ledger is append-only.")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise TypeError("The ledger is append-only.")


class LedgerEntry(models.Model):
    """One change of what a user has; `number` counts from 1, `hash` covers `previous`.

    included, prepaid: credits that came (positive) or went (negative); of a window, what it
    includes from then on. A RETURN undoes the CHARGE of the same reference, whose picture was not
    delivered, and has that one's moment: it counts where the charge counted. The entry outlives its
    user, whose number then stands for nobody.
    """

    CHARGE = "charge"
    RETURN = "return"
    TOP_UP = "top_up"
    TAKE_BACK = "take_back"
    PLAN = "plan"
    PERIOD = "period"
    WINDOW = "window"
    EVENTS = (
        (CHARGE, _("charge")),
        (RETURN, _("returned charge")),
        (TOP_UP, _("top-up")),
        (TAKE_BACK, _("take-back")),
        (PLAN, _("plan")),
        (PERIOD, _("billing period")),
        (WINDOW, _("usage window")),
    )

    id: int
    user_id = models.BigIntegerField()
    number = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now)
    event = models.CharField(max_length=9, choices=EVENTS)
    included = models.BigIntegerField(default=0)
    prepaid = models.BigIntegerField(default=0)
    channel = models.CharField(max_length=3, choices=CHANNELS, blank=True)
    key_id = models.BigIntegerField(null=True)
    month_start = models.BigIntegerField(null=True)
    cycle_start = models.BigIntegerField(null=True)
    cycle_end = models.BigIntegerField(null=True)
    next_end = models.BigIntegerField(null=True)
    plan = models.CharField(max_length=MAX_LABEL, blank=True)
    # What caused it: a reservation, a payment, an operator's words. Once only, where it is given.
    reference = models.CharField(max_length=MAX_REFERENCE, blank=True)
    note = models.CharField(max_length=MAX_REFERENCE, blank=True)
    previous = models.CharField(max_length=DIGEST_CHARS)
    hash = models.CharField(max_length=DIGEST_CHARS)

    objects = AppendOnly.as_manager()

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("user_id", "number"), name="one_entry_a_number"),
            models.UniqueConstraint(
                fields=("event", "reference"),
                condition=~Q(reference=""),
                name="one_entry_a_reference",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}/{self.number}: {self.event}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Add the entry. Raises TypeError when it is there already."""
        if not self._state.adding:
            raise TypeError("The ledger is append-only.")
        super().save(*args, **kwargs)

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("The ledger is append-only.")


class RateCount(models.Model):
    """A short-term count that several processes share without a Redis; expires_at: Unix seconds."""

    key = models.CharField(max_length=128, primary_key=True)
    number = models.BigIntegerField()
    expires_at = models.FloatField(db_index=True)

    def __str__(self) -> str:
        return f"{self.key}: {self.number}"
