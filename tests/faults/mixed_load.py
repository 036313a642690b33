"""Many clients at once who ask for all kinds of things, and a record of everything they got.

Each client asks one request after the other until it is told to stop, and never gives up: a line
that breaks or a server that says 503 is noted, and after a moment the next request goes out.
"""

import http.client
import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from redis import Redis

from forms import FORM, form, photo
from forms import field as text
from houses import House, usage, wait_until
from pictures import picture
from services import HOST, Service, openrembg_admin

ANSWER_S: Final = 60.0
# What a client waits after a refusal; Retry-After asks for longer than a test has.
PAUSE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of request. expected: the status that a server in order answers."""

    kind: str
    method: str
    path: str
    body: bytes | None
    expected: int
    with_key: bool = True
    idempotent: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one request. status: None when the line broke before the answer was whole.

    charged: X-Credits-Charged of a whole answer. order: the Idempotency-Key, if it had one.
    """

    asked: Asked
    status: int | None
    charged: int
    order: str | None
    ended_at: float
    retry_after: str | None = None
    error: str = ""


PHOTO: Final = picture("JPEG", 320, 240)
GET: Final = (
    Asked("usage", "GET", "/api/membership-usage", None, 200),
    Asked("ready", "GET", "/ready", None, 200, with_key=False),
)
# Half of the requests cost a credit.
MIX: Final = (
    Asked("png", "POST", "/rmbg", form(photo(PHOTO, "a.jpg"), text("format", "png")), 200),
    Asked("webp", "POST", "/rmbg", form(photo(PHOTO, "a.jpg")), 200, idempotent=True),
    GET[0],
    Asked("torn", "POST", "/rmbg", form(photo(PHOTO[:900], "a.jpg")), 400),
    Asked("mask", "POST", "/rmbg", form(photo(PHOTO, "a.jpg"), text("mask", "true")), 200),
    Asked(
        *("large", "POST", "/rmbg"),
        *(form(photo(picture("JPEG", 1600, 1200), "b.jpg"), text("format", "bmp")), 200),
    ),
    Asked("stranger", "POST", "/rmbg", form(photo(PHOTO, "a.jpg")), 401),
    GET[1],
)


@dataclass(slots=True)
class MixedLoad:
    """A load that runs; `seen` grows while it does. before: what the key's user had used then.

    think_s: how long each client does nothing after an answer.
    """

    ports: Sequence[int]
    key: str
    before: int
    think_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def answered(self) -> int:
        """Return how many requests got what they should."""
        return sum(one.status == one.asked.expected for one in list(self.seen))

    def wait_for(self, more: int, timeout_s: float = 60.0) -> None:
        """Wait until so many more requests got what they should."""
        wanted = self.answered() + more
        wait_until(lambda: self.answered() >= wanted, timeout_s)

    def wait_for_refusal(self, status: int | None = 503, timeout_s: float = 60.0) -> None:
        """Wait until a request from now on is answered with `status`; None: with nothing."""
        since = len(self.seen)
        wait_until(lambda: any(one.status == status for one in self.seen[since:]), timeout_s)

    def stop(self) -> None:
        """Let every client end with what it has begun."""
        self._is_over.set()

    @property
    def statuses(self) -> Counter[int | None]:
        """How often each status was answered."""
        return Counter(one.status for one in self.seen)

    def unexpected(self, *allowed: int | None) -> list[Seen]:
        """Return what is neither right nor one of the `allowed` statuses (None: a broken line)."""
        return [one for one in self.seen if one.status not in (one.asked.expected, *allowed)]

    def most_charged(self) -> int:
        """Return how many credits may have been spent: the whole answers that say so.

        An order counts once it has been answered at all: the first answer may have been lost.
        """
        plain = sum(one.charged for one in self.seen if one.order is None)
        orders = {one.order for one in self.seen if one.order and one.status == 200}
        return plain + len(orders)

    def lost_orders(self) -> list[str]:
        """Return the Idempotency-Keys that have not been answered with a picture."""
        done = {one.order for one in self.seen if one.status == 200}
        return list(dict.fromkeys(o.order for o in self.seen if o.order and o.order not in done))

    def repeat_lost_orders(self) -> None:
        """Send them again, as their users would, until each has its picture."""
        asked = next(one for one in MIX if one.idempotent)
        for order in self.lost_orders():
            wait_until(lambda order=order: self._ask(asked, order).status == 200)  # type: ignore[misc]

    def _client(self, number: int) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._is_over.is_set():
            turn = next(self._turn)
            asked = MIX[turn % len(MIX)]
            order = str(uuid.uuid4()) if asked.idempotent else None
            # Every other client keeps its connection.
            if connection is None:
                connection = self._connection(turn)
            one = self._ask(asked, order, connection)
            if number % 2 or one.status != asked.expected:
                connection.close()
                connection = None
            self._is_over.wait(self.think_s if one.status == asked.expected else PAUSE_S)
        if connection is not None:
            connection.close()

    def _connection(self, turn: int) -> http.client.HTTPConnection:
        port = self.ports[turn % len(self.ports)]
        return http.client.HTTPConnection(HOST, port, timeout=ANSWER_S)

    def _ask(
        self, asked: Asked, order: str | None, on: http.client.HTTPConnection | None = None
    ) -> Seen:
        connection = on or self._connection(next(self._turn))
        try:
            one = self._answer(connection, asked, order)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            one = Seen(asked, None, 0, order, time.monotonic(), error=repr(error))
        finally:
            if on is None:
                connection.close()
        self.seen.append(one)
        return one

    def _answer(
        self, connection: http.client.HTTPConnection, asked: Asked, order: str | None
    ) -> Seen:
        connection.request(asked.method, asked.path, asked.body, self._headers(asked, order))
        answer = connection.getresponse()
        answer.read()
        charged = int(answer.headers.get("X-Credits-Charged", "0"))
        retry_after = answer.headers.get("Retry-After")
        return Seen(asked, answer.status, charged, order, time.monotonic(), retry_after)

    def _headers(self, asked: Asked, order: str | None) -> Mapping[str, str]:
        headers = {}
        if asked.with_key:
            headers["X-Api-Key"] = "no such key" if asked.kind == "stranger" else self.key
        if asked.body is not None:
            headers["Content-Type"] = FORM
        if order:
            headers["Idempotency-Key"] = order
        return headers


@contextmanager
def mixed_load(
    servers: Sequence[Service], key: str, clients: int = 6, think_s: float = 0.0
) -> Iterator[MixedLoad]:
    """Let so many clients ask the servers in turn while the block runs.

    think_s: how long each does nothing after an answer; a fault that lasts costs less so.
    """
    before = usage(servers[0], key)["api_usage"]
    load = MixedLoad([server.port for server in servers], key, before, think_s)
    threads = [threading.Thread(target=load._client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
        for thread in threads:
            thread.join()


@contextmanager
def load_through_a_fault(
    house: House, server: Service, key: str, *allowed: int, pictures: int, think_s: float = 0.0
) -> Iterator[MixedLoad]:
    """Let clients ask while the block runs; in the end all must be well again.

    allowed: what else than what they should get they may be answered. pictures: so many requests
    are answered well before the block, and after it.
    """
    with mixed_load([server], key, think_s=think_s) as load:
        load.wait_for(pictures)
        yield load
        load.wait_for(pictures)
    assert not load.unexpected(*allowed)
    assert_the_books_agree(house, server, load)


def assert_the_books_agree(
    house: House, server: Service, load: MixedLoad, *, may_be_free: int = 0, beside: int = 0
) -> None:
    """Let lost orders be repeated, then compare ledger, counters, Redis and answers.

    may_be_free: how many delivered pictures may not be charged: those whose server was killed
    before it could note that they were sent. beside: how many others asked for than the load.
    """
    load.repeat_lost_orders()
    wait_until(lambda: house.rows("quota_reservation") == 0, 60)
    wait_until(lambda: house.undelivered() == 0, 60)
    house.admin("verify-ledger")
    most = load.most_charged() + beside
    shown = usage(server, load.key)["api_usage"] - load.before
    assert most - may_be_free <= shown <= most, f"{shown} charged, {most} delivered"
    for one in load.seen:
        assert one.status == 200 or one.charged == 0, one
        assert one.status != 503 or one.retry_after or one.asked.path == "/ready", one
    if house.redis is not None:
        assert_redis_agrees(house, house.redis)


def assert_redis_agrees(house: House, redis: Service) -> None:
    """Compare what is in Redis with what an operator would write there from the database."""
    with Redis(port=redis.port, db=1) as other:
        other.flushdb()
        url = f"redis://127.0.0.1:{redis.port}/1"
        openrembg_admin(
            {**house.environment, "REDIS_URL": url}, "rebuild-redis", within=house.within
        )
        truth = _copies(other)
    with Redis(port=redis.port) as copy:
        assert truth
        wait_until(lambda: _copies(copy) == truth, 20)


def _copies(redis: Redis) -> dict[bytes, bytes | None]:
    names = sorted(redis.scan_iter("user:*", count=1000))
    return {name: redis.get(name) for name in names}  # type: ignore[misc]
