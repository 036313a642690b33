"""The editor in a real browser: limits, accounts, lost connections, and what they cost."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from editor_visits import (
    DONE_MS,
    Asked,
    add,
    app_usage,
    cut_elsewhere,
    cuts,
    finish,
    grain,
    in_state,
    log_in,
    nothing_at_all,
    opened,
    payload,
    photos,
    picture,
    said,
    status_of,
)
from playwright.sync_api import Dialog, Error, Page, Route, expect
from redis import Redis

from services import Service, StartServer

pytestmark = pytest.mark.browser

MINUTE_MS: Final = 61_000


@pytest.fixture
def asked(page: Page) -> Asked:
    """Every request of the page."""
    requests: Asked = []
    page.on("request", lambda request: requests.append(request))
    return requests


# The minute and the day.


@pytest.fixture
def two_a_minute(start_server: StartServer, redis: Service) -> Service:
    """A server that counts two requests a minute for each guest, in a Redis."""
    address = f"redis://127.0.0.1:{redis.port}/0"
    return start_server(REDIS_URL=address, OPENREMBG_ANONYMOUS_PER_MINUTE="2")


def let_the_minute_pass(page: Page, redis: Service) -> None:
    """Let it be a minute later for the server, which forgets, and for the page."""
    with Redis(port=redis.port) as counts:
        counts.flushall()
    page.clock.run_for(MINUTE_MS)


def test_the_minute_is_waited_for_and_nothing_is_sent_in_vain(
    page: Page, two_a_minute: Service, redis: Service, asked: Asked
) -> None:
    page.clock.install()
    opened(page, two_a_minute)
    add(page, *photos(3))
    finish(page, 2)
    note = page.locator("#halt")
    expect(note).to_contain_text("The next pictures follow by themselves in")
    expect(in_state(page, "waiting")).to_have_count(1)
    assert len(cuts(asked)) == 2
    before = note.inner_text()
    page.clock.run_for(3000)
    assert note.inner_text() != before
    let_the_minute_pass(page, redis)
    finish(page, 3)
    expect(note).to_be_empty()
    add(page, *photos(2))
    finish(page, 4)
    expect(note).to_contain_text("That was all for this minute.")
    assert len(cuts(asked)) == 4


def test_a_minute_that_others_have_used_up_is_waited_for(
    page: Page, two_a_minute: Service, redis: Service, asked: Asked
) -> None:
    page.clock.install()
    opened(page, two_a_minute)
    for _ in range(2):
        cut_elsewhere(two_a_minute)
    add(page, *photos(1))
    expect(page.locator("#halt")).to_contain_text("That was all for this minute.")
    let_the_minute_pass(page, redis)
    finish(page, 1)
    assert len(cuts(asked)) == 2


def test_the_last_picture_of_the_day_is_told(page: Page, start_server: StartServer) -> None:
    server = start_server(OPENREMBG_ANONYMOUS_PER_DAY="2")
    opened(page, server)
    expect(page.locator("#left")).to_contain_text("2 of 2")
    add(page, *photos(4))
    finish(page, 2)
    note = page.locator("#halt")
    expect(note).to_contain_text("All pictures of today are used up. With an account you get more.")
    expect(note.get_by_role("link", name="Sign Up")).to_have_attribute(
        "href", "/en/account/signup/"
    )
    expect(note.get_by_role("link", name="Plans")).to_be_visible()
    expect(page.locator("#left")).to_contain_text("0 of 2")
    expect(in_state(page, "waiting")).to_have_count(2)
    assert said(page, "photo 1.jpg") == "Done. It counts for today."
    note.get_by_role("button", name="Try again").click()
    expect(note).to_contain_text("All pictures of today are used up.")
    expect(in_state(page, "waiting")).to_have_count(2)


@pytest.mark.parametrize("limit", ["OPENREMBG_ANONYMOUS_PER_DAY", "OPENREMBG_ANONYMOUS_PER_MINUTE"])
def test_where_guests_get_nothing_they_are_led_to_the_log_in(
    page: Page, start_server: StartServer, limit: str
) -> None:
    opened(page, start_server(**{limit: "0"}))
    expect(page.locator("#left")).to_contain_text("Sign in to remove backgrounds here.")
    add(page, *photos(2))
    link = page.locator("#halt").get_by_role("link", name="Sign In")
    expect(link).to_have_attribute("href", "/en/account/login/?next=/en/")
    expect(in_state(page, "waiting")).to_have_count(2)


def test_a_busy_server_is_waited_for(page: Page, start_server: StartServer) -> None:
    opened(page, start_server(OPENREMBG_WORKERS="1", OPENREMBG_QUEUE="0"))
    large = picture(width=4000, height=3000)
    with page.expect_response(lambda answer: answer.status == 503):
        add(page, *(payload(f"large {number}.jpg", large) for number in range(3)))
    expect(page.locator("#halt")).to_contain_text("The server is busy. It goes on by itself in")
    finish(page, 3)


# Accounts.


def test_a_member_pays_for_each_cut_out_and_nothing_else(
    page: Page, server: Service, asked: Asked, complaints: list[str]
) -> None:
    log_in(page, server, "member@example.com")
    expect(page.locator("#left")).to_contain_text("50 of 50")
    add(page, *photos(3), payload("glass.png", nothing_at_all()), payload("letter.jpg", b"Dear"))
    finish(page, 4)
    assert said(page, "photo 1.jpg") == "Done. Cost: 1 credit."
    assert said(page, "glass.png") == "Nothing was found, so it is free."
    expect(page.locator("#left")).to_contain_text("47 of 50")
    assert app_usage(server, "member@example.com") == 3
    tokens = [request for request in asked if request.url.endswith("/api/user-token")]
    assert [request.method for request in tokens] == ["POST"]
    assert {cut.headers["authorization"] for cut in cuts(asked)} == {token_of(asked)}
    assert len({cut.headers["idempotency-key"] for cut in cuts(asked)}) == 4
    assert complaints == []


def token_of(asked: Asked) -> str:
    return cuts(asked)[-1].headers["authorization"]


def test_the_token_ends_when_the_page_is_left(page: Page, server: Service, asked: Asked) -> None:
    log_in(page, server, "leaver@example.com")
    add(page, *photos(1))
    finish(page, 1)
    token = token_of(asked)
    assert status_of(server, "POST", "/rmbg", token) == 400
    page.goto(f"{server.url}/en/plans")
    # The browser sends it beside the next page.
    for _ in range(50):
        if status_of(server, "POST", "/rmbg", token) == 401:
            break
        page.wait_for_timeout(100)
    assert status_of(server, "POST", "/rmbg", token) == 401


def test_a_page_without_pictures_asks_for_no_token(
    page: Page, server: Service, asked: Asked
) -> None:
    log_in(page, server, "looker@example.com")
    page.goto(f"{server.url}/en/plans")
    assert [request for request in asked if "user-token" in request.url] == []


def test_a_token_that_has_ended_is_renewed(page: Page, server: Service, asked: Asked) -> None:
    log_in(page, server, "renewer@example.com")
    add(page, *photos(1))
    finish(page, 1)
    first = token_of(asked)
    assert status_of(server, "DELETE", "/api/user-token", first) == 204
    add(page, *photos(2))
    finish(page, 3)
    assert token_of(asked) != first
    assert app_usage(server, "renewer@example.com") == 3
    tokens = [request for request in asked if request.url.endswith("/api/user-token")]
    assert len(tokens) == 2


def test_whoever_has_signed_out_elsewhere_is_asked_to_sign_in(page: Page, server: Service) -> None:
    log_in(page, server, "outsider@example.com")
    page.context.clear_cookies()
    add(page, *photos(2))
    note = page.locator("#halt")
    expect(note).to_contain_text("You are no longer signed in.")
    expect(note.get_by_role("link", name="Sign In")).to_be_visible()
    expect(in_state(page, "waiting")).to_have_count(2)


def test_who_is_not_verified_confirms_the_address_and_goes_on(page: Page, server: Service) -> None:
    log_in(page, server, "eve@example.com")
    verify(server, "eve@example.com", is_verified=False)
    page.reload()
    expect(page.locator("#left")).to_contain_text("Confirm your e-mail address")
    add(page, *photos(2))
    note = page.locator("#halt")
    expect(note).to_contain_text("Confirm your e-mail address first")
    verify(server, "eve@example.com", is_verified=True)
    note.get_by_role("button", name="Try again").click()
    finish(page, 2)


def verify(server: Service, email: str, *, is_verified: bool) -> None:
    """Let an address be confirmed, or not."""
    change = "UPDATE account_emailaddress SET verified = ? WHERE email = ?"
    path = Path(server.log).parent / "data" / "openrembg.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(change, (is_verified, email))


def test_used_up_credits_are_told(page: Page, server: Service) -> None:
    log_in(page, server, "spender@example.com", credits_=2)
    add(page, *photos(4))
    finish(page, 2)
    note = page.locator("#halt")
    expect(note).to_contain_text("All your credits are used up.")
    expect(note.get_by_role("link", name="Plan and credits")).to_be_visible()
    expect(page.locator("#left")).to_contain_text("0 of 2")


# Connections.


def test_an_answer_that_was_lost_is_asked_for_again_and_paid_once(
    page: Page, server: Service
) -> None:
    log_in(page, server, "loser@example.com")

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route("**/rmbg", lose_the_answer, times=1)
    add(page, *photos(2))
    finish(page, 1)
    expect(in_state(page, "failed").locator(".state")).to_have_text(
        "The connection was lost on the way."
    )
    in_state(page, "failed").locator(".again").click()
    finish(page, 2)
    assert said(page, "photo 1.jpg") == "Done. Already paid for."
    assert app_usage(server, "loser@example.com") == 2


def test_a_server_that_cannot_be_reached_stops_the_rest(page: Page, server: Service) -> None:
    opened(page, server)
    page.route("**/rmbg", lambda route: route.abort("connectionrefused"))
    add(page, *photos(5))
    note = page.locator("#halt")
    expect(note).to_contain_text("The server cannot be reached. Your pictures are still here.")
    expect(in_state(page, "uploading")).to_have_count(0)
    assert in_state(page, "waiting").count() >= 2
    page.unroute("**/rmbg")
    page.get_by_role("button", name="Try all again").click()
    finish(page, 5)
    expect(note).to_be_empty()


def test_without_a_network_the_pictures_wait_for_it(page: Page, server: Service) -> None:
    opened(page, server)
    page.context.set_offline(True)
    add(page, *photos(3))
    expect(page.locator("#halt")).to_contain_text("You are offline.")
    expect(in_state(page, "waiting")).to_have_count(3)
    page.context.set_offline(False)
    finish(page, 3)


def test_an_upload_shows_its_progress_and_is_not_left_without_a_question(
    page: Page, server: Service
) -> None:
    opened(page, server)
    page.locator("h1").click()
    wire = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2000}
    wire.send("Network.enable")
    wire.send("Network.emulateNetworkConditions", slow)
    add(page, payload("grain.png", grain()))
    expect(in_state(page, "uploading").locator(".state")).to_have_text(re.compile(r"\d%$"))
    expect(page.locator(".picture progress")).to_be_visible()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    with pytest.raises(Error, match="ERR_ABORTED"):
        page.goto(f"{server.url}/en/plans")
    assert asked == ["beforeunload"]
    wire.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    finish(page, 1)


def test_a_finished_page_may_be_left(page: Page, server: Service) -> None:
    opened(page, server)
    page.locator("h1").click()
    asked: list[Dialog] = []
    page.on("dialog", lambda dialog: asked.append(dialog))
    add(page, *photos(1))
    expect(in_state(page, "done")).to_have_count(1, timeout=DONE_MS)
    page.goto(f"{server.url}/en/plans")
    assert asked == []
