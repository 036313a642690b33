"""The overview of somebody with a plan of a year, and the frame around it on phones."""

import datetime as dt
from collections.abc import Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page
from pytest_django import DjangoDbBlocker
from site_visits import come_in

from openrembg.server.accounts.models import User
from openrembg.server.quota.models import Day
from openrembg.server.quota.windows import Period, unix
from people import subscribe
from services import Service
from site_house import site_server
from site_pages import LANGUAGES, Visitor
from site_people import Cast

pytestmark = pytest.mark.browser

DAY = dt.timedelta(days=1)
PHONES = (320, 360, 390, 430)
# How far the drawing's end is from the end of its window, at that side where days end.
FROM_THE_END = """() => {
    const plot = document.querySelector(".plot");
    const [seen, drawn] = [plot, plot.querySelector('svg')].map(one => one.getBoundingClientRect());
    const isRtl = document.dir === "rtl";
    return Math.round(Math.abs(isRtl ? drawn.left - seen.left : drawn.right - seen.right));
}"""
WIDTHS = """() => [...document.querySelectorAll(".plot svg, .dates")].map(
    one => Math.round(one.getBoundingClientRect().width)
)"""
# Where the rows of the frame begin.
ROWS = """() => [...new Set(
    [...document.querySelectorAll(".brand, .site-header nav, .menu")].map(one => {
        const box = one.getBoundingClientRect();
        return Math.round((box.top + box.bottom) / 2);
    }))].length"""


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[tuple[Service, Cast]]:
    """A server on which a beginner has paid for a year, of which most is over."""
    with django_db_blocker.unblock(), site_server(tmp_path_factory.mktemp("site")) as both:
        now, user = timezone.now(), User.objects.get(email="bea@example.com")
        subscribe(user.pk, Period(unix(now - 250 * DAY), unix(now + 115 * DAY)))
        Day.objects.create(user=user, day=now.date(), included=3, prepaid=0)
        yield both


def opened(browser: Browser, site: tuple[Service, Cast], visitor: Visitor, path: str) -> Page:
    server, cast = site
    page = come_in(browser, server, cast.cookies(visitor)).new_page()
    page.goto(server.url + path)
    return page


@pytest.mark.parametrize("language", ["en", "fa"])
def test_a_chart_that_is_wider_than_its_place_begins_with_today(
    site: tuple[Service, Cast], browser: Browser, language: str
) -> None:
    page = opened(browser, site, "beginner", f"/{language}/account/")
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.reload()
        drawing, dates = page.evaluate(WIDTHS)
        assert drawing == dates == 251 * 6
        assert page.evaluate("document.querySelector('.plot').clientWidth") < drawing
        assert page.evaluate(FROM_THE_END) == 0
    page.context.close()


@pytest.mark.parametrize("visitor", ["nobody", "beginner"])
def test_the_frame_takes_two_rows_of_a_phone_in_every_language(
    site: tuple[Service, Cast], browser: Browser, visitor: Visitor
) -> None:
    page = opened(browser, site, visitor, "/en/plans")
    rows = {}
    for language in LANGUAGES:
        page.goto(f"{site[0].url}/{language}/plans")
        for width in PHONES:
            page.set_viewport_size({"width": width, "height": 800})
            rows[language, width] = page.evaluate(ROWS)
    assert {place: count for place, count in rows.items() if count != 2} == {}
    page.context.close()
