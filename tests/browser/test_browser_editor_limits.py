"""The editor in a real browser: limits, accounts, lost connections, and what they cost."""

import re
import sqlite3
from collections.abc import Callable
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
    make_user,
    nothing_at_all,
    opened,
    payload,
    photos,
    picture,
    said,
    sign_in_elsewhere,
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
    expect(note.locator("a:not([target=_blank])")).to_have_count(0)
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
    expect(link).to_have_attribute("href", "/en/account/login/")
    expect(link).to_have_attribute("target", "_blank")
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
    add(page, *photos(3)[1:])
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
    expect(note.get_by_role("link", name="Sign In")).to_have_attribute("target", "_blank")
    expect(in_state(page, "waiting")).to_have_count(2)
    sign_in_elsewhere(page, server, "outsider@example.com")
    note.get_by_role("button", name="Try again").click()
    finish(page, 2)
    assert app_usage(server, "outsider@example.com") == 2


def test_whoever_has_signed_out_elsewhere_may_go_on_as_a_guest(page: Page, server: Service) -> None:
    log_in(page, server, "deserter@example.com")
    page.context.clear_cookies()
    add(page, *photos(2))
    note = page.locator("#halt")
    expect(note).to_contain_text("You are no longer signed in.")
    note.get_by_role("button", name="Try again").click()
    finish(page, 2)
    assert app_usage(server, "deserter@example.com") == 0


def test_whoever_has_signed_in_again_elsewhere_tries_again(page: Page, server: Service) -> None:
    log_in(page, server, "returner@example.com")
    page.context.clear_cookies()
    sign_in_elsewhere(page, server, "returner@example.com")
    add(page, *photos(2))
    note = page.locator("#halt")
    expect(note).to_contain_text("You have signed in again since this page was opened.")
    note.get_by_role("button", name="Try again").click()
    finish(page, 2)
    expect(note).to_be_empty()
    assert app_usage(server, "returner@example.com") == 2


def test_a_guest_who_has_signed_in_elsewhere_goes_on_as_a_member(
    page: Page, start_server: StartServer
) -> None:
    server = start_server(OPENREMBG_ANONYMOUS_PER_DAY="1")
    make_user(server, "joiner@example.com")
    opened(page, server)
    add(page, *photos(3))
    finish(page, 1)
    note = page.locator("#halt")
    expect(note).to_contain_text("All pictures of today are used up.")
    expect(page.locator("#left")).to_contain_text("0 of 1")
    sign_in_elsewhere(page, server, "joiner@example.com")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    finish(page, 3)
    expect(note).to_be_empty()
    assert app_usage(server, "joiner@example.com") == 2


def test_the_same_picture_is_not_paid_twice(page: Page, server: Service) -> None:
    log_in(page, server, "again@example.com")
    add(page, *photos(1))
    finish(page, 1)
    page.reload()
    add(page, payload("other name.jpg", photos(1)[0]["buffer"]))
    finish(page, 1)
    assert said(page, "other name.jpg") == "Done. Already paid for."
    assert app_usage(server, "again@example.com") == 1


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
    finish(page, 2)
    assert said(page, "photo 1.jpg") == "Done. Already paid for."
    assert app_usage(server, "loser@example.com") == 2


def refuse(route: Route) -> None:
    route.abort("connectionrefused")


def speak_for_the_server(route: Route) -> None:
    """Answer as a proxy does."""
    route.fulfill(status=502, body="<h1>Bad Gateway</h1>")


@pytest.mark.parametrize("answer", [refuse, speak_for_the_server])
def test_when_the_server_is_back_it_goes_on_by_itself(
    page: Page, server: Service, asked: Asked, answer: Callable[[Route], None]
) -> None:
    opened(page, server)
    for address in ("**/rmbg", "**/health"):
        page.route(address, answer)
    add(page, *photos(5))
    note = page.locator("#halt")
    expect(note).to_contain_text("The server cannot be reached. Your pictures are still here")
    expect(in_state(page, "waiting")).to_have_count(5)
    sent = len(cuts(asked))
    with page.expect_request("**/health"):
        pass
    assert len(cuts(asked)) == sent <= 2
    page.unroute("**/health")
    page.unroute("**/rmbg")
    finish(page, 5)
    expect(note).to_be_empty()


def test_after_a_lost_server_one_may_try_at_once(page: Page, server: Service) -> None:
    opened(page, server)
    page.route("**/rmbg", refuse, times=1)
    page.route("**/health", refuse)
    add(page, *photos(2))
    page.locator("#halt").get_by_role("button", name="Try again").click()
    finish(page, 2)


def test_a_picture_that_never_gets_through_fails(page: Page, server: Service) -> None:
    page.clock.install()
    opened(page, server)
    page.route("**/rmbg", refuse)
    add(page, *photos(1))
    for _ in range(3):
        expect(page.locator("#halt")).to_contain_text("The server cannot be reached.")
        with page.expect_request("**/rmbg"):
            page.clock.run_for(MINUTE_MS)
    line = in_state(page, "failed")
    expect(line.locator(".state")).to_have_text("The connection was lost on the way.")
    expect(line.locator(".again")).to_be_visible()


def test_without_a_network_the_pictures_wait_for_it(page: Page, server: Service) -> None:
    opened(page, server)
    page.context.set_offline(True)
    add(page, *photos(3))
    expect(page.locator("#halt")).to_contain_text("You are offline.")
    expect(in_state(page, "waiting")).to_have_count(3)
    page.context.set_offline(False)
    finish(page, 3)


def test_an_upload_shows_its_progress_and_is_not_left_without_a_question(
    page: Page, server: Service, questions: list[str]
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
    with pytest.raises(Error, match="ERR_ABORTED"):
        leave(page, server)
    assert questions == ["beforeunload"]
    wire.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    finish(page, 1)


@pytest.fixture
def questions(page: Page) -> list[str]:
    """What was asked before the page was left; the answer is that one stays."""
    heard: list[str] = []

    def stay(dialog: Dialog) -> None:
        heard.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    return heard


def leave(page: Page, server: Service) -> None:
    page.goto(f"{server.url}/en/plans")


def test_finished_pictures_are_not_left_without_a_question(
    page: Page, server: Service, questions: list[str]
) -> None:
    opened(page, server)
    page.locator("h1").click()
    add(page, *photos(1), payload("glass.png", nothing_at_all()))
    finish(page, 2)
    with pytest.raises(Error, match="ERR_ABORTED"):
        leave(page, server)
    save(page)
    paint(page)
    with pytest.raises(Error, match="ERR_ABORTED"):
        leave(page, server)
    save(page)
    assert questions == ["beforeunload", "beforeunload"]
    leave(page, server)
    assert len(questions) == 2


def save(page: Page) -> None:
    with page.expect_download():
        page.get_by_role("button", name="Download", exact=True).click()
    expect(page.locator("#download-one")).to_be_enabled()


def paint(page: Page) -> None:
    page.get_by_role("button", name="Erase").click()
    page.locator("[data-part=frame]").click()
    expect(page.locator("[data-do=undo]")).to_be_enabled()


def test_pictures_that_wait_are_not_left_without_a_question(
    page: Page, server: Service, questions: list[str]
) -> None:
    opened(page, server)
    page.locator("h1").click()
    for address in ("**/rmbg", "**/health"):
        page.route(address, refuse)
    add(page, *photos(2))
    expect(page.locator("#halt")).to_contain_text("The server cannot be reached.")
    with pytest.raises(Error, match="ERR_ABORTED"):
        leave(page, server)
    assert questions == ["beforeunload"]


def test_a_page_on_which_nothing_worked_may_be_left(
    page: Page, server: Service, questions: list[str]
) -> None:
    opened(page, server)
    page.locator("h1").click()
    add(page, payload("letter.jpg", b"Dear"))
    expect(in_state(page, "failed")).to_have_count(1, timeout=DONE_MS)
    leave(page, server)
    assert questions == []
