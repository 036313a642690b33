"""What a visitor of the editor may still cut out, and until when; nothing is counted for it."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from allauth.account.models import EmailAddress
from django.http import HttpRequest
from django.utils import timezone

from openrembg.server.accounts.address import client_block
from openrembg.server.accounts.asking import present_balance
from openrembg.server.accounts.models import User
from openrembg.server.errors import AccountGone
from openrembg.server.quota.cycles import present_cycle
from openrembg.server.quota.models import Balance
from openrembg.server.quota.rates import Policy, Rates, Standing
from openrembg.server.quota.redis_usage import present_usage
from openrembg.server.quota.usage import month_at
from openrembg.server.service import service


@dataclass(frozen=True, slots=True)
class GuestLeft:
    """What somebody without an account has left; None stands for no limit.

    is_closed: guests get nothing here, today or ever.
    """

    day: Standing | None
    minute: Policy | None
    is_closed: bool
    kind: Literal["guest"] = "guest"


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """What a user has left. included: of `allowance`, until the second `until`."""

    included: int
    allowance: int
    until: int
    prepaid: int
    kind: Literal["member"] = "member"


@dataclass(frozen=True, slots=True)
class UnconfirmedLeft:
    """Nothing before the address is confirmed."""

    kind: Literal["unconfirmed"] = "unconfirmed"


def left_of(request: HttpRequest) -> GuestLeft | MemberLeft | UnconfirmedLeft:
    """Return what the visitor who asks has left."""
    user = request.user
    if not isinstance(user, User):
        return _guest(service().rates, client_block(request))
    if not EmailAddress.objects.filter(user=user, verified=True).exists():
        return UnconfirmedLeft()
    return _member(user.pk, timezone.now()) or UnconfirmedLeft()


def _guest(rates: Rates, block: str) -> GuestLeft:
    limits = [policy for policy in (rates.day, rates.minute) if policy.is_limited]
    return GuestLeft(
        day=rates.look(rates.day, block) if rates.day.is_limited else None,
        minute=rates.minute if rates.minute.is_limited else None,
        is_closed=any(policy.limit == 0 for policy in limits),
    )


def _member(user_id: int, now: dt.datetime) -> MemberLeft | None:
    """Return what a user has left; None for one who is gone."""
    balance = Balance.objects.select_related("plan").filter(pk=user_id).first()
    if balance is None:
        return None
    try:
        usage = present_usage(present_balance(balance, now), month_at(now), None, now)
    except AccountGone:
        return None
    if usage is None:
        return None
    cycle = present_cycle(usage, now)
    return MemberLeft(
        included=cycle.remaining,
        allowance=cycle.included,
        until=cycle.end,
        prepaid=usage.standing.prepaid,
    )
