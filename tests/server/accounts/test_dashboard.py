"""The overview: the numbers of membership-usage, and a chart of the days."""

import datetime as dt
import html
import re
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client
from redis import Redis
from time_machine import TimeMachineFixture

from openrembg.server.accounts.keys import revoke
from openrembg.server.accounts.models import ApiKey
from openrembg.server.billing.models import Plan
from openrembg.server.quota import spending
from openrembg.server.quota.models import Window
from openrembg.server.quota.spending import Payer
from openrembg.server.quota.windows import Period, calendar_month, unix
from people import Person, person, subscribe
from services import Service

URL = "/en/account/"
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def now(time_machine: TimeMachineFixture) -> None:
    """It is the twenty-first of November."""
    time_machine.move_to(NOW)


@pytest.fixture
def ada() -> Person:
    """A user without any use."""
    return person(credits_=10)


def use(payer: Payer, times: int = 1, at: dt.datetime = NOW) -> None:
    for _ in range(times):
        spending.charge(spending.reserve(payer, at, MINUTE), at)


def page(somebody: Person, query: str = "", language: str = "en") -> str:
    """Return the HTML of somebody's overview."""
    client = Client()
    client.force_login(somebody.user)
    answer = client.get(URL.replace("en", language, 1) + query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def shown(text: str) -> str:
    """Return what a page says, without its tags."""
    found = re.sub(r"<(head|title|template)[ >].*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    return " ".join(html.unescape(found).split())


def titles(text: str) -> list[str]:
    """Return what the chart's bars are called, without those of days without use."""
    found = re.findall(r"<title>([^<]*: [^<]*)</title>", text)
    return [html.unescape(title) for title in found if not title.endswith("Editor 0, API 0")]


def links(text: str) -> list[str]:
    """Return the queries that lead to past periods."""
    return re.findall(r'href="\?cycle=(\d+)"', text)


# Who has used nothing.


def test_who_has_used_nothing_is_led_to_the_editor_and_to_the_api(ada: Person) -> None:
    text = page(ada)
    assert "No pictures yet" in text
    assert 'href="/en/"' in text
    assert 'href="/en/api-usage"' in text
    assert "<rect" not in text


def test_who_has_no_key_that_works_is_led_to_the_first_one(ada: Person) -> None:
    assert "Make your first key" not in page(ada)
    revoke(ada.key)
    text = page(ada)
    assert 'action="/en/account/keys"' in text
    ApiKey.objects.all().delete()
    assert "Make your first key" in page(ada)


# What is left.


def test_it_shows_what_is_left(ada: Person) -> None:
    use(ada.by_key, 3)
    use(ada.by_token, 2)
    text = shown(page(ada))
    assert "Pictures you can still make 5 Included: 5. Prepaid: 0." in text
    assert "Your plan plan of ada@example.com New included credits on Dec. 1, 2026." in text
    assert "Included credits used: 5 of 10 Editor: 2 API: 3 Left: 5" in text


def test_prepaid_credits_are_left_too_and_shown_apart() -> None:
    bob = person("bob@example.com", credits_=2, prepaid=1500)
    use(bob.by_token, 3)
    use(bob.by_key, 1)
    text = shown(page(bob))
    assert "Pictures you can still make 1,498 Included: 0. Prepaid: 1,498." in text
    assert "Included credits used: 2 of 2 Editor: 2 API: 0" in text
    assert "Prepaid credits used as well: 2" in text
    assert titles(page(bob)) == ["Nov. 21, 2026: Editor 3, API 1"]
    assert "Day Editor API Prepaid Nov 21 3 1 2" in text


def test_when_nothing_is_left_it_says_until_when(ada: Person) -> None:
    assert "Nothing is left" not in page(ada)
    use(ada.by_key, 10)
    assert "Nothing is left until Dec. 1, 2026, when your included credits come back" in page(ada)
    none = person("none@example.com", credits_=0)
    text = page(none)
    assert "Nothing is left. <a" in text
    assert "It includes no credits." in text


def test_more_use_than_the_plan_includes_fills_the_bar_and_no_more(ada: Person) -> None:
    use(ada.by_key, 10)
    Plan.objects.filter(balances=ada.user.pk).update(credits=4)
    text = page(ada)
    assert "Included credits used: 10 of 4" in shown(text)
    assert re.findall(r'class="ap[ip]"[^>]* width="(\d+)" height="10"', text)[:2] == ["0", "1000"]


def test_it_says_the_same_as_membership_usage(ada: Person, client: Client) -> None:
    use(ada.by_key, 3)
    use(ada.by_token, 2)
    url = "/api/membership-usage?expand=billing_cycle"
    told = client.get(url, headers=ada.with_key).json()["billingCycle"]
    text = shown(page(ada))
    assert f"Editor: {told['appUsage']} API: {told['apiUsage']}" in text
    assert f"of {told['includedCredits']}" in text
    assert f"Left: {told['remainingIncludedCredits']}" in text


def test_it_counts_what_other_tools_wrote_into_redis(
    ada: Person, furnish: Any, redis: Service
) -> None:
    furnish(redis_url=f"redis://127.0.0.1:{redis.port}/0")
    use(ada.by_key, 3)
    page(ada)
    with Redis(port=redis.port) as client:
        client.incrby(f"user:{ada.user.pk}:api_usage:2026:11", 4)
    assert "Included credits used: 7 of 10" in shown(page(ada))


# The present period and its days.


def test_each_day_has_a_bar_with_a_title_and_a_line_of_numbers(ada: Person) -> None:
    use(ada.by_key, 2, NOW - 20 * DAY)
    use(ada.by_token, 1, NOW - 20 * DAY)
    use(ada.by_token, 1, NOW - DAY)
    text = page(ada)
    assert titles(text) == [
        "Nov. 1, 2026: Editor 1, API 2",
        "Nov. 20, 2026: Editor 1, API 0",
    ]
    assert len(re.findall('class="hit"', text)) == 30
    assert "Day Editor API Nov 1 1 2 Nov 20 1 0" in shown(text)


def test_nobody_sees_another_s_numbers(ada: Person) -> None:
    bob = person("bob@example.com", credits_=10)
    use(bob.by_key, 5)
    use(bob.by_key, 5, NOW - 40 * DAY)
    october = calendar_month(2026, 10).start
    for query in ("", f"?cycle={october}", f"?user={bob.user.pk}"):
        assert "No pictures yet" in page(ada, query)
    use(ada.by_key)
    assert titles(page(ada)) == ["Nov. 21, 2026: Editor 0, API 1"]
    assert Client().get(URL).headers["Location"] == f"/en/account/login/?next={URL}"


def test_a_billing_period_counts_and_says_whether_it_goes_on(ada: Person) -> None:
    period = Period(unix(NOW - 5 * DAY), unix(NOW + 25 * DAY))
    subscribe(ada.user.pk, period, next_end=unix(NOW + 55 * DAY))
    use(ada.by_key, 4)
    text = shown(page(ada))
    assert "This period Nov. 16, 2026 – Dec. 16, 2026" in text
    assert "New included credits on Dec. 16, 2026." in text
    assert "they may hold pictures of the period before or after" in text
    subscribe(ada.user.pk, period)
    assert "It ends on Dec. 16, 2026." in shown(page(ada))


def test_a_year_s_chart_can_be_moved_by_keyboard(ada: Person) -> None:
    subscribe(ada.user.pk, Period(unix(NOW - 299 * DAY), unix(NOW + 66 * DAY)))
    use(ada.by_key)
    text = page(ada)
    assert '<div class="plot scroll" tabindex="0" role="group" aria-labelledby="days">' in text
    assert 'width="1800"' in text, "three hundred days, of which the last is today"


def test_numbers_and_days_are_written_as_the_language_writes_them(ada: Person) -> None:
    use(ada.by_key, 3, NOW - DAY)
    text = page(ada, language="fa")
    assert "۱ نوامبر ۲۰۲۶" in text
    drawing = re.findall(r'(?:x|y|width|height|viewBox|d)="([^"]*)"', text)
    assert all(number.isascii() for number in drawing)
    assert "11月20日" in page(ada, language="ja")


def test_it_has_neither_script_nor_style_of_its_own(ada: Person) -> None:
    use(ada.by_key)
    text = page(ada)
    assert "<script" not in text
    assert "style=" not in text


# Past periods.


def test_past_months_are_listed_newest_first_and_each_shows_its_chart(ada: Person) -> None:
    use(ada.by_key, 3, dt.datetime(2026, 9, 30, 23, 59, tzinfo=dt.UTC))
    use(ada.by_token, 2, dt.datetime(2026, 10, 31, 23, 59, tzinfo=dt.UTC))
    use(ada.by_token, 1)
    october, september = (calendar_month(2026, month).start for month in (10, 9))
    text = page(ada)
    assert links(text) == [str(october), str(september)]
    assert "Oct. 1, 2026 – Oct. 31, 2026 2 0 Sept. 1, 2026 – Sept. 30, 2026 0 3" in shown(text)
    past = page(ada, f"?cycle={september}")
    assert "A past period Sept. 1, 2026 – Sept. 30, 2026" in shown(past)
    assert titles(past) == ["Sept. 30, 2026: Editor 0, API 3"]
    assert f'href="?cycle={september}" aria-current="true"' in past
    assert "Back to this period" in past
    # What it included is not known: the plan may have been another one.
    assert "Included credits used" not in past
    assert "Pictures you can still make 9" in shown(past)


@pytest.mark.parametrize(
    "wanted",
    [
        *("", "0", "-1", "1e9", "nan", "9" * 5000, "%00", "%F0%28", "null", "1&cycle=2"),
        *("۱۷۹۰۸۱۲۸۰۰", "<script>"),
    ],
)
def test_a_period_that_nobody_knows_is_the_present_one(ada: Person, wanted: str) -> None:
    use(ada.by_key, 1, NOW - 40 * DAY)
    text = page(ada, f"?cycle={wanted}")
    assert "This period Nov. 1, 2026 – Nov. 30, 2026" in shown(text)
    assert "Nothing was used in this period." in text


def test_who_used_something_long_ago_finds_it(ada: Person) -> None:
    use(ada.by_key, 1, NOW - 700 * DAY)
    assert links(page(ada)) == [str(calendar_month(2024, 12).start)]


def test_billing_periods_are_listed_and_months_that_they_do_not_fill(ada: Person) -> None:
    moments = [dt.datetime(2026, month, 10, tzinfo=dt.UTC) for month in (7, 8, 9, 10, 11, 12)]
    use(ada.by_key, 1, dt.datetime(2026, 7, 2, tzinfo=dt.UTC))
    for start, end in pairwise(moments):
        subscribe(ada.user.pk, Period(unix(start), unix(end)), at=start)
        use(ada.by_key, 2, start + DAY)
    found = [dt.datetime.fromtimestamp(int(start), dt.UTC).date() for start in links(page(ada))]
    assert [day.isoformat() for day in found] == [
        *("2026-10-10", "2026-09-10", "2026-08-10", "2026-07-10", "2026-07-01"),
    ]
    text = page(ada, f"?cycle={unix(moments[2])}")
    assert "Sept. 10, 2026 – Oct. 9, 2026" in shown(text)
    assert "Included credits used: 2 of 10" in shown(text)
    assert "A calendar month also counts what a billing period within it counts." in text


def test_older_periods_fold_and_open_for_the_one_that_is_shown(ada: Person) -> None:
    for back in range(1, 16):
        year, month = divmod(2026 * 12 + 10 - back, 12)
        start = calendar_month(year, month + 1).start
        Window.objects.create(user=ada.user, kind="month", start=start, api=1)
    text = page(ada)
    assert len(links(text)) == 15
    assert '<summary id="older">' in text
    assert "<details open>" not in text
    assert "<details open>" in page(ada, f"?cycle={links(text)[-1]}")
    assert "<details open>" not in page(ada, f"?cycle={links(text)[0]}")
