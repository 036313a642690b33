"""GET /api/membership-usage: what an account has and has used."""

import datetime as dt

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from openrembg.server.accounts.asking import member_with_key
from openrembg.server.errors import InvalidKey
from openrembg.server.quota.cycles import (
    UNUSED,
    BillingCycle,
    billing_cycles,
    cycle_at,
    present_cycle,
)
from openrembg.server.quota.redis_usage import present_usage
from openrembg.server.quota.usage import Usage
from openrembg.server.quota.usage_query import UsageQuery, read_query

Body = dict[str, object]


def membership_usage(request: HttpRequest) -> HttpResponse:
    """Answer with what the key's owner has and has used.

    Raises BothCredentials, InvalidKey and InvalidRequest.
    """
    member = member_with_key(request)
    now = timezone.now()
    query = read_query(request.GET, now)
    usage = present_usage(member.balance, query.month, query.start, now)
    if usage is None:
        raise InvalidKey  # the account was deleted in this very moment
    body = _list(usage, now) if query.lists else _body(usage, query, now)
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


def _list(usage: Usage, now: dt.datetime) -> Body:
    cycles = billing_cycles(usage, now)
    return {"billingCycles": [_counters(cycle) for cycle in cycles]}


def _body(usage: Usage, query: UsageQuery, now: dt.datetime) -> Body:
    asked = None if query.start is None else cycle_at(usage, query.start, now)
    used = usage.months.get(query.month, UNUSED) if asked is None else asked.used
    body: Body = {
        "membership": usage.standing.membership,
        "credits": usage.standing.credits,
        "prepaidCredits": usage.standing.prepaid,
        "app_usage": used.app,
        "api_usage": used.api,
    }
    if query.with_cycle:
        body["billingCycle"] = _whole(asked or present_cycle(usage, now), usage)
    return body


def _counters(cycle: BillingCycle) -> Body:
    return {
        "periodStartUnix": cycle.start,
        "periodEndUnix": cycle.end,
        "appUsage": cycle.used.app,
        "apiUsage": cycle.used.api,
    }


def _whole(cycle: BillingCycle, usage: Usage) -> Body:
    return {
        **_counters(cycle),
        "includedCredits": cycle.included,
        "prepaidCredits": usage.standing.prepaid,
        "usedIncludedCredits": cycle.used_included,
        "remainingIncludedCredits": cycle.remaining,
        "stripeBillingSynced": cycle.synced,
    }
