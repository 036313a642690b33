"""The anonymous limits: a minute, a day, their headers, and Redis behind them."""

from collections.abc import Iterator

import pytest

from forms import Answer, Part, field, photo, post
from pictures import empty_picture, picture
from services import Service, StartServer, openrembg_server

pytestmark = pytest.mark.wire

TOO_FAST = "You're making requests too quickly, Please Upgrade or slow down."
DAILY = "You've reached your daily limit. Please sign up for more access."
LIMITED = {
    "OPENREMBG_ANONYMOUS_PER_MINUTE": "6",
    "OPENREMBG_ANONYMOUS_PER_DAY": "3",
    "OPENREMBG_TRUSTED_PROXIES": "127.0.0.1",
}


def ask(server: Service, address: str, *parts: Part) -> Answer:
    """Post a photo as the proxy would that speaks for `address`."""
    return post(
        server,
        photo(picture()),
        *parts,
        headers={"X-Forwarded-For": address},
    )


def statuses(server: Service, address: str, times: int) -> list[int]:
    """Return the statuses of so many requests in a row."""
    return [ask(server, address).status for _ in range(times)]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server with limits, behind a proxy that names the client."""
    with openrembg_server(tmp_path_factory.mktemp("limited"), LIMITED) as running:
        yield running


def test_the_day_is_used_up_by_cut_outs(limited: Service) -> None:
    assert statuses(limited, "192.0.2.1", 3) == [200, 200, 200]
    answer = ask(limited, "192.0.2.1")
    assert (answer.status, answer.told()) == (429, {"error": DAILY, "status": 429})
    assert answer.headers["Retry-After"] is None, "a client would sleep until tomorrow"
    assert answer.headers["X-Credits-Charged"] == "0"


def test_the_minute_is_used_up_by_requests_of_any_kind(limited: Service) -> None:
    wrong = [ask(limited, "192.0.2.2", field("w", "abc")).status for _ in range(6)]
    assert wrong == [400] * 6
    answer = ask(limited, "192.0.2.2")
    assert (answer.status, answer.told()) == (429, {"error": TOO_FAST, "status": 429})
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_a_request_that_fails_costs_nothing_of_the_day(limited: Service) -> None:
    for wrong in (field("w", "abc"), field("format", "gif")):
        assert ask(limited, "192.0.2.3", wrong).status == 400
    assert statuses(limited, "192.0.2.3", 3) == [200, 200, 200]


def test_nothing_found_costs_nothing_of_the_day(limited: Service) -> None:
    client = {"X-Forwarded-For": "192.0.2.4"}
    for _ in range(2):
        answer = post(limited, photo(empty_picture()), headers=client)
        assert answer.headers["X-Foreground-Detected"] == "false"
    assert statuses(limited, "192.0.2.4", 3) == [200, 200, 200]


def test_the_short_term_limit_comes_before_the_daily_one(limited: Service) -> None:
    assert statuses(limited, "192.0.2.5", 6) == [200] * 3 + [429] * 3
    assert ask(limited, "192.0.2.5").json["error"] == TOO_FAST


def test_the_limits_come_before_the_fields(limited: Service) -> None:
    statuses(limited, "192.0.2.6", 3)
    answer = ask(limited, "192.0.2.6", field("w", "abc"))
    assert (answer.status, answer.json["error"]) == (429, DAILY)


def test_credentials_come_before_the_limits(limited: Service) -> None:
    statuses(limited, "192.0.2.7", 7)
    headers = {"X-Forwarded-For": "192.0.2.7", "x-api-key": "a key"}
    assert post(limited, photo(picture()), headers=headers).status == 401


def test_the_headers_count_down(limited: Service) -> None:
    answers = [ask(limited, "192.0.2.8") for _ in range(4)]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == list("2100")
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    assert "q=6" in answers[0].headers["RateLimit-Policy"]
    assert "q=3" in answers[0].headers["RateLimit-Policy"]


def test_a_v6_network_of_64_bits_is_one_caller(limited: Service) -> None:
    assert statuses(limited, "2001:db8:1:2::1", 2) == [200, 200]
    assert statuses(limited, "2001:db8:1:2:ffff::9", 2) == [200, 429]
    assert statuses(limited, "2001:db8:1:3::1", 1) == [200]


def test_a_client_cannot_choose_its_address(limited: Service) -> None:
    claims = [f"198.51.100.{number}, 192.0.2.9" for number in range(4)]
    assert [ask(limited, claim).status for claim in claims] == [200, 200, 200, 429]


def test_without_a_trusted_proxy_the_header_says_nothing(start_server: StartServer) -> None:
    server = start_server(OPENREMBG_ANONYMOUS_PER_DAY="1")
    assert [ask(server, address).status for address in ("192.0.2.1", "192.0.2.2")] == [200, 429]


@pytest.mark.parametrize(
    ("setting", "message"),
    [("OPENREMBG_ANONYMOUS_PER_MINUTE", TOO_FAST), ("OPENREMBG_ANONYMOUS_PER_DAY", DAILY)],
)
def test_zero_refuses_everybody(start_server: StartServer, setting: str, message: str) -> None:
    server = start_server(**{setting: "0"})
    answer = post(server, photo(picture()))
    assert (answer.status, answer.json["error"]) == (429, message)


def redis_url(redis: Service) -> str:
    """Return the address that REDIS_URL takes."""
    return f"redis://127.0.0.1:{redis.port}/0"


def test_two_servers_share_their_limits_through_redis(
    start_server: StartServer, redis: Service
) -> None:
    both = [start_server(**LIMITED, REDIS_URL=redis_url(redis)) for _ in range(2)]
    found = [ask(both[number % 2], "192.0.2.1").status for number in range(5)]
    assert found == [200, 200, 200, 429, 429]
    wrong = [ask(both[number % 2], "192.0.2.2", field("w", "abc")).status for number in range(7)]
    assert wrong == [400] * 6 + [429]


def test_limits_outlive_the_server_when_redis_keeps_them(
    start_server: StartServer, redis: Service
) -> None:
    first = start_server(**LIMITED, REDIS_URL=redis_url(redis))
    assert statuses(first, "192.0.2.1", 3) == [200] * 3
    second = start_server(**LIMITED, REDIS_URL=redis_url(redis))
    assert statuses(second, "192.0.2.1", 1) == [429]


def test_a_killed_redis_is_never_a_server_error(start_server: StartServer, redis: Service) -> None:
    server = start_server(**LIMITED, REDIS_URL=redis_url(redis))
    assert statuses(server, "192.0.2.1", 2) == [200, 200]
    redis.process.kill()
    redis.process.wait()
    found = statuses(server, "192.0.2.1", 5)
    assert found == [200, 200, 200, 429, 429], "the server counts for itself meanwhile"
    assert statuses(server, "192.0.2.2", 1) == [200]


def test_a_server_starts_without_its_redis(start_server: StartServer, redis: Service) -> None:
    redis.process.kill()
    redis.process.wait()
    server = start_server(**LIMITED, REDIS_URL=redis_url(redis))
    assert statuses(server, "192.0.2.1", 4) == [200, 200, 200, 429]
