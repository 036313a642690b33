"""What an account has and has used, asked of a real server in every way."""

import datetime as dt
import time
from pathlib import Path
from typing import Any

import pytest
from stripe_house import stripe_house, tell

from fakes.stripe_events import Stripe
from odd_server import answers, odd_server
from openrembg.client import (
    BillingCycle,
    DetailedBillingCycle,
    InputError,
    InvalidRequest,
    Usage,
)
from pictures import picture
from services import Service


def test_usage_is_this_months_with_its_billing_cycle(ask: Any, server: Service, key: str) -> None:
    named = {"key": key, "base_url": server.url}
    before = ask("usage", **named)
    ask("remove_background", picture(), **named)
    after = ask("usage", **named)
    assert isinstance(after, Usage)
    assert (after.membership, after.credits, after.prepaid_credits) == ("Many", 1000, 0)
    assert after.api_usage == before.api_usage + 1
    cycle = after.billing_cycle
    assert cycle is not None
    assert cycle.used_included_credits == cycle.app_usage + cycle.api_usage == after.api_usage
    assert cycle.remaining_included_credits == 1000 - after.api_usage
    assert (cycle.included_credits, cycle.stripe_billing_synced) == (1000, False)
    assert cycle.start.day == 1
    assert cycle.start.tzinfo == cycle.end.tzinfo == dt.UTC
    assert cycle.start <= dt.datetime.now(dt.UTC) <= cycle.end + dt.timedelta(days=1)


def test_a_month_without_use_has_zeros(ask: Any, server: Service, key: str) -> None:
    told = ask("usage", year=2001, month=2, billing_cycle=False, key=key, base_url=server.url)
    assert (told.app_usage, told.api_usage, told.billing_cycle) == (0, 0, None)


@pytest.mark.parametrize("start", [86_400, dt.datetime(1970, 1, 2, tzinfo=dt.UTC)])
def test_a_billing_period_is_asked_for_by_its_start(
    ask: Any, server: Service, key: str, start: Any
) -> None:
    told = ask("usage", period_start=start, key=key, base_url=server.url)
    assert told.billing_cycle.period_start_unix == 86_400
    assert told.billing_cycle.start == dt.datetime(1970, 1, 2, tzinfo=dt.UTC)


def test_a_month_of_a_billing_period_makes_no_sense(ask: Any, server: Service, key: str) -> None:
    with pytest.raises(InvalidRequest, match="Cannot combine 'periodStartUnix'") as caught:
        ask("usage", year=2026, period_start=86_400, key=key, base_url=server.url)
    assert caught.value.field == "periodStartUnix"


@pytest.mark.parametrize("start", [dt.datetime(2026, 1, 1), "now", True, 1.5])  # noqa: DTZ001
def test_a_start_without_a_time_zone_is_refused(ask: Any, start: object) -> None:
    with pytest.raises(InputError, match="time zone"):
        ask("usage", period_start=start)


def test_an_account_without_periods_lists_none(ask: Any, server: Service, key: str) -> None:
    assert ask("billing_cycles", key=key, base_url=server.url) == ()


def test_billing_periods_are_listed_without_what_is_not_told(ask: Any) -> None:
    told = {"periodStartUnix": 100, "periodEndUnix": 199, "appUsage": 3, "apiUsage": 4}
    with odd_server(answers({"billingCycles": [told]})) as odd:
        listed = ask("billing_cycles", key="k", base_url=f"{odd.url}/prefix/")
    assert listed == (BillingCycle(100, 199, 3, 4),)
    assert not isinstance(listed[0], DetailedBillingCycle)
    line = odd.requests[0].line
    assert line == "GET /prefix/api/membership-usage?listBillingCycles=1 HTTP/1.1"
    assert "idempotency-key" not in odd.requests[0].headers


def test_billing_periods_that_stripe_told_are_listed(ask: Any, tmp_path: Path) -> None:
    now = int(time.time())
    start, end = now - 86_400, now + 86_400
    stripe = Stripe()
    with stripe_house(tmp_path) as house:
        house.sell("Gold", 20, "price_gold")
        member = house.member()
        server = house.start()
        events = (
            member.linked(stripe, created=now - 10),
            stripe.subscription_created(
                member.sub(start, end, price="price_gold"), created=now - 9
            ),
        )
        assert [tell(server, event) for event in events] == [200, 200]
        named = {"key": member.key, "base_url": server.url}
        ask("remove_background", picture(), **named)
        assert ask("billing_cycles", **named) == (BillingCycle(start, end, 0, 1),)
        told = ask("usage", period_start=start, **named)
        assert (told.membership, told.api_usage) == ("Gold", 1)
        assert told.billing_cycle == DetailedBillingCycle(start, end, 0, 1, 20, 0, 1, 19, True)
        assert ask("usage", period_start=start - 1, **named).api_usage == 0


@pytest.mark.parametrize(
    "asked", [{"year": "2026"}, {"month": True}, {"month": 1.0}, {"billing_cycle": 1}]
)
def test_questions_of_another_type_are_refused(ask: Any, asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(asked))):
        ask("usage", **asked)
