"""A billing period ends while pictures are being made: each counts where it was asked for."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from stripe_house import Member, StripeHouse, ask, stripe_house, tell, window

from crowd import Seen, ask_at_once
from databases import Sqlite
from fakes.stripe_events import BASIL, MONTH_S, OLD, Stripe
from forms import field, form, photo
from houses import wait_until
from pictures import picture
from services import Service

pytestmark = pytest.mark.wire

SMALL = form(photo(picture("JPEG"), "small.jpg"))
LARGE = form(photo(picture("JPEG", 5000, 5000), "large.jpg"), field("format", "png"))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StripeHouse]:
    postgresql = request.getfixturevalue("postgresql") if request.param == "postgresql" else None
    with stripe_house(tmp_path_factory.mktemp("house"), postgresql) as built:
        built.sell("Basic", 4, "price_basic")
        yield built


@pytest.fixture(scope="module")
def server(house: StripeHouse) -> Service:
    return house.start()


def test_pictures_in_flight_count_in_the_period_in_which_they_were_asked_for(
    house: StripeHouse, server: Service
) -> None:
    # One database tries the one shape, the other the other.
    stripe, ada = Stripe(OLD if isinstance(house.database, Sqlite) else BASIL), house.member()
    end = int(time.time()) + 6
    old, new = ada.sub(end - MONTH_S, end), ada.sub(end, end + MONTH_S)
    assert tell(server, ada.linked(stripe, created=end - MONTH_S)) == 200
    assert tell(server, stripe.subscription_created(old, created=end - MONTH_S)) == 200
    assert window(server, ada) == (old.start, end, True)

    with in_flight(house, server, ada, end) as late:
        # Nobody has told yet; the next one has begun all the same.
        assert window(server, ada)[0::2] == (end, True)
        early = ask_at_once([server.port], 2, SMALL, {"X-Api-Key": ada.key})
        assert tell(server, stripe.subscription_updated(new, created=end)) == 200
        assert tell(server, stripe.invoice_paid(new, created=end + 1)) == 200
        rest = ask_at_once([server.port], 5, SMALL, {"X-Api-Key": ada.key})

    assert statuses(late) == {200: 4, 429: 2}
    assert statuses([*early, *rest]) == {200: 4, 429: 3}
    assert listed(server, ada) == [(end, end + MONTH_S, 4), (old.start, end - 1, 4)]
    assert window(server, ada) == (end, end + MONTH_S, True)
    house.admin("verify-ledger")
    house.admin("replay-stripe")
    assert listed(server, ada) == [(end, end + MONTH_S, 4), (old.start, end - 1, 4)]


def test_a_period_that_was_told_to_end_leaves_what_is_in_flight_in_it(
    house: StripeHouse, server: Service
) -> None:
    stripe, ada = Stripe(), house.member()
    end = int(time.time()) + 6
    old = ada.sub(end - MONTH_S, end)
    assert tell(server, ada.linked(stripe, created=end - MONTH_S)) == 200
    leaving = stripe.subscription_updated(old, created=end - 99, cancel_at_period_end=True)
    assert tell(server, leaving) == 200
    assert window(server, ada) == (old.start, end, True)

    with in_flight(house, server, ada, end) as late:
        assert window(server, ada)[2] is False
        assert ask(server, ada)["membership"] == "Free"
    assert tell(server, stripe.subscription_deleted(old, created=end)) == 200
    assert statuses(late) == {200: 4, 429: 2}
    assert listed(server, ada) == [(old.start, end, 4)]
    assert statuses(ask_at_once([server.port], 1, SMALL, {"X-Api-Key": ada.key})) == {200: 1}
    house.admin("verify-ledger")


@contextmanager
def in_flight(
    house: StripeHouse, server: Service, member: Member, end: int
) -> Iterator[list[Seen]]:
    """Ask for six large pictures, and go on after `end`, with four in the making and two refused.

    The server is halted in between, so that none of them is ready before. Their answers are in the
    list once the block is over.
    """
    late: list[Seen] = []
    sender = threading.Thread(
        target=lambda: late.extend(ask_at_once([server.port], 6, LARGE, {"X-Api-Key": member.key}))
    )

    def refused() -> int:
        return server.text().count('"status": 429')

    before = refused()
    sender.start()
    wait_until(lambda: house.rows("SELECT count(*) FROM quota_reservation") == [(4,)], 5)
    wait_until(lambda: refused() == before + 2, 5)
    server.process.send_signal(signal.SIGSTOP)
    assert time.time() < end, "The machine was too slow for this test."
    time.sleep(end + 0.1 - time.time())
    server.process.send_signal(signal.SIGCONT)
    yield late
    sender.join()


def statuses(answers: list[Seen]) -> Counter[int]:
    """Count the answers by status."""
    return Counter(answer.status for answer in answers)


def listed(server: Service, member: Member) -> list[tuple[int, int, int]]:
    """Return the listed cycles: start, end, and what keys used in them."""
    body = ask(server, member, "listBillingCycles=1")["billingCycles"]
    return [(row["periodStartUnix"], row["periodEndUnix"], row["apiUsage"]) for row in body]
