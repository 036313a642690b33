"""POST /rmbg with an account: who pays, what the headers say, and in which order it is refused."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.test import Client
from rmbg_client import error_of, photo, send

from fakes.steady_matter import SteadyMatter
from openrembg.matting.errors import InferenceFailed
from openrembg.server.accounts.keys import revoke
from openrembg.server.quota.models import LedgerEntry, Reservation, Window
from people import person

pytestmark = pytest.mark.usefixtures("database")

UNVERIFIED = "Email address not verified – please check your inbox"
MONTHLY = "You've reached your monthly limit. Consider purchasing more credits."
TOO_FAST = "You're making requests too quickly, Please Upgrade or slow down."


def counters() -> tuple[int, int]:
    window = Window.objects.get(kind="month")
    return window.app, window.api


def test_a_key_counts_as_api_and_a_token_as_app(client: Client) -> None:
    ada = person()
    for headers in (ada.with_key, ada.with_key, ada.with_token):
        response = send(client, headers=headers)
        assert response.status_code == 200
        assert response.headers["X-Credits-Charged"] == "1"
        assert response.headers["X-Credits-Source"] == "included"
    assert counters() == (1, 2)


def test_prepaid_credits_are_told_apart(client: Client) -> None:
    ada = person(credits_=1, prepaid=1)
    sources = [send(client, headers=ada.with_key).headers["X-Credits-Source"] for _ in range(2)]
    assert sources == ["included", "prepaid"]
    response = send(client, headers=ada.with_key)
    assert response.json()["code"] == "monthly_limit"
    assert error_of(response) == {"error": MONTHLY, "status": 429}
    assert "Retry-After" not in response.headers


def test_a_key_over_its_cap_is_told_so(client: Client) -> None:
    ada = person(cap=1)
    assert send(client, headers=ada.with_key).status_code == 200
    response = send(client, headers=ada.with_key)
    assert response.json()["code"] == "key_cap"
    assert error_of(response) == {"error": MONTHLY, "status": 429}
    assert send(client, headers=ada.with_token).status_code == 200


def test_nothing_found_costs_nothing(client: Client, furnish: Any) -> None:
    furnish(SteadyMatter(finds=False))
    ada = person(credits_=1)
    for _ in range(3):
        response = send(client, headers=ada.with_key)
        assert (response.status_code, response.headers["X-Credits-Charged"]) == (200, "0")
        assert response.headers["X-Credits-Source"] == "included"
        assert '"credits";r=1;t=' in response.headers["RateLimit"]
    assert not LedgerEntry.objects.exists()


@pytest.mark.parametrize(
    "image", [("a.png", photo()[:-40]), ("a.png", b"no picture"), ("a.exe", b"x")]
)
def test_a_bad_picture_costs_nothing(client: Client, image: tuple[str, bytes]) -> None:
    ada = person(credits_=1)
    for _ in range(3):
        assert send(client, image=image, headers=ada.with_key).status_code == 400
    assert not Reservation.objects.exists()
    assert send(client, headers=ada.with_key).status_code == 200


def test_a_failure_of_ours_costs_nothing(client: Client, furnish: Any) -> None:
    matter = SteadyMatter(error=InferenceFailed("broke"))
    furnish(matter)
    ada = person(credits_=1)
    for _ in range(3):
        assert send(client, headers=ada.with_key).status_code == 500
    matter.error = None
    assert send(client, headers=ada.with_key).status_code == 200
    assert not Reservation.objects.exists()


def test_the_headers_say_what_is_left(client: Client) -> None:
    ada = person(credits_=3, prepaid=2, per_minute=10)
    headers = send(client, headers=ada.with_key).headers
    assert headers["RateLimit-Policy"].startswith('"minute";q=10;w=60, "credits";q=4;w=2')
    assert '"minute";r=9;t=' in headers["RateLimit"]
    assert '"credits";r=4;t=' in headers["RateLimit"]
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("4", "4")


def test_all_keys_of_a_user_share_the_plans_minute(client: Client) -> None:
    ada, bob = person(credits_=9, per_minute=2), person("bob@example.com", credits_=9, per_minute=2)
    assert send(client, headers=ada.with_key).status_code == 200
    assert send(client, ("w", "abc"), headers=ada.with_token).status_code == 400
    response = send(client, headers=ada.with_key)
    assert error_of(response) == {"error": TOO_FAST, "status": 429}
    assert int(response.headers["Retry-After"]) >= 1
    assert send(client, headers=bob.with_key).status_code == 200


def test_the_refusals_come_in_their_order(client: Client) -> None:
    ada = person(verified=False, credits_=0, per_minute=0)
    both = {**ada.with_key, **ada.with_token}
    assert error_of(send(client, headers=both))["status"] == 400
    assert error_of(send(client, headers={"X-Api-Key": ada.token_text}))["status"] == 401
    assert error_of(send(client, headers=ada.with_key)) == {"error": UNVERIFIED, "status": 403}
    ada.user.emailaddress_set.update(verified=True)
    assert error_of(send(client, ("w", "abc"), headers=ada.with_key))["error"] == TOO_FAST
    plan = ada.balance().plan
    plan.per_minute = -1
    plan.save()
    assert error_of(send(client, ("w", "abc"), headers=ada.with_key))["error"] == MONTHLY
    plan.credits = 1
    plan.save()
    assert send(client, ("w", "abc"), headers=ada.with_key).status_code == 400


def test_an_unverified_user_is_told_to_look_for_the_mail(client: Client) -> None:
    ada = person(verified=False)
    for headers in (ada.with_key, ada.with_token):
        response = send(client, headers=headers)
        assert error_of(response) == {"error": UNVERIFIED, "status": 403}
        assert '"credits";r=50' in response.headers["RateLimit"]


def test_a_revoked_key_is_dead_at_once(client: Client) -> None:
    ada = person()
    assert send(client, headers=ada.with_key).status_code == 200
    revoke(ada.key)
    assert error_of(send(client, headers=ada.with_key)) == {
        "error": "invalid api key",
        "status": 401,
    }
    assert send(client, headers=ada.with_token).status_code == 200


@pytest.mark.parametrize(
    ("moment", "months"),
    [
        ("2026-11-30T23:59:59.999+00:00", {(2026, 11): 1, (2026, 12): 0}),
        ("2026-12-01T00:00:00+00:00", {(2026, 11): 0, (2026, 12): 1}),
        ("2026-12-31T23:59:59.999+00:00", {(2026, 12): 1, (2027, 1): 0}),
        ("2027-01-01T00:00:00+00:00", {(2026, 12): 0, (2027, 1): 1}),
    ],
)
def test_a_picture_counts_in_the_month_of_its_instant(
    client: Client, moment: str, months: dict[tuple[int, int], int]
) -> None:
    ada = person(credits_=1)
    with time_machine.travel(dt.datetime.fromisoformat(moment), tick=False):
        assert send(client, headers=ada.with_key).status_code == 200
        assert send(client, headers=ada.with_key).status_code == 429
        for (year, month), used in months.items():
            query = {"year": year, "month": month}
            usage = client.get("/api/membership-usage", query, headers=ada.with_key).json()
            assert usage["api_usage"] == used
    later = dt.datetime.fromisoformat(moment) + dt.timedelta(milliseconds=1)
    with time_machine.travel(later, tick=False):
        status = send(client, headers=ada.with_key).status_code
        assert status == (200 if moment.startswith(("2026-11", "2026-12-31")) else 429)


def test_an_account_that_is_deleted_meanwhile_pays_nothing(client: Client, furnish: Any) -> None:
    class Deleter(SteadyMatter):
        def matte(self, source: Any) -> Any:
            ada.user.delete()
            return super().matte(source)

    furnish(Deleter())
    ada = person()
    response = send(client, headers=ada.with_key)
    assert error_of(response) == {"error": "invalid api key", "status": 401}
    assert not LedgerEntry.objects.exists()


def test_the_unknown_pay_nothing_for_others(client: Client) -> None:
    person()
    assert send(client).headers["X-Credits-Source"] == "anonymous"
    assert not Window.objects.exists()
