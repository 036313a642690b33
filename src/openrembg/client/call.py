"""One call: attempts until it goes well, or no other attempt would help, or the time is over."""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO, Final, TypeVar

import anyio

from openrembg.client.connections import Connections
from openrembg.client.cutout import Facts, facts_of
from openrembg.client.errors import (
    APIError,
    ConnectionFailed,
    InputError,
    TimedOut,
    UnexpectedAnswer,
)
from openrembg.client.exchange import Answer, Request, answered
from openrembg.client.form import Form
from openrembg.client.patience import pause_s
from openrembg.client.photo import Upload
from openrembg.client.picture import Notify, receive
from openrembg.client.plain_text import printable
from openrembg.client.progress import Meter
from openrembg.client.refusal import MAX_BODY, refusal

MAX_JSON: Final = 16 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """timeout_s: for a whole call, None waits for ever. retries: attempts after the first."""

    timeout_s: float | None
    retries: int


async def in_time(patience: Patience, work: Callable[["Attempts"], Awaitable[T]]) -> T:
    """Run `work`, which makes its attempts with what it is given. Raises TimedOut."""
    with anyio.move_on_after(patience.timeout_s) as scope:
        return await work(Attempts(patience.retries, scope))
    raise TimedOut(f"The call did not end within {patience.timeout_s:g} seconds.")


class Attempts:
    """Attempts within the time of one call."""

    def __init__(self, retries: int, scope: anyio.CancelScope) -> None:
        self._retries = retries
        self._scope = scope

    async def until_done(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what the first good attempt gives, or raise what the last one raised."""
        failures = 0
        while True:
            try:
                return await attempt()
            except (APIError, ConnectionFailed) as error:
                failures += 1
                wait_s = pause_s(error, failures)
                if wait_s is None or failures > self._retries or wait_s >= self._left_s():
                    raise
            await anyio.sleep(wait_s)

    def _left_s(self) -> float:
        return self._scope.deadline - anyio.current_time()


class Unwritten(Exception):
    """The picture comes, and its file does not take it. facts: what is told about it."""

    def __init__(self, facts: Facts, error: OSError) -> None:
        super().__init__()
        self.facts = facts
        self.error = error


@dataclass(frozen=True, slots=True)
class Removal:
    """A picture on its way. wanted: the result's media type. on_…: who wants to know."""

    connections: Connections
    request: Request
    form: Form
    upload: Upload
    wanted: str
    on_upload: Notify
    on_download: Notify

    async def into(self, file: BinaryIO) -> tuple[Facts, int]:
        """Send the picture once, write what comes back to `file`, return its facts and size.

        Raises Unwritten for a file that does not take it.
        """
        length = str(self.form.length(self.upload.size))
        headers = {
            **self.request.headers,
            "Content-Type": self.form.content_type,
            "Content-Length": length,
        }
        request = Request("POST", self.request.address, headers, self._body())
        async with _succeeded(self.connections, request) as answer:
            facts = facts_of(answer.headers)
            try:
                file.seek(0)
                file.truncate()
                return facts, await receive(answer, self.wanted, file, self.on_download)
            except OSError as error:
                raise Unwritten(facts, error) from error

    async def _body(self) -> AsyncIterator[bytes]:
        meter = Meter(self.form.length(self.upload.size))
        await self.on_upload(meter.add(0))
        yield self.form.head
        await self.on_upload(meter.add(len(self.form.head)))
        async for piece in self.upload.pieces():
            yield piece
            await self.on_upload(meter.add(len(piece)))
        yield self.form.tail
        await self.on_upload(meter.add(len(self.form.tail)))


async def json_of(connections: Connections, request: Request) -> object:
    """Ask once for JSON. Raises UnexpectedAnswer for anything else."""
    async with _succeeded(connections, request) as answer:
        text = bytearray()
        async for piece in answer.pieces():
            text += piece
            if len(text) > MAX_JSON:
                raise UnexpectedAnswer("The server sent more JSON than this API has.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswer("The server sent something that is not JSON.") from error


@asynccontextmanager
async def _succeeded(connections: Connections, request: Request) -> AsyncIterator[Answer]:
    """Yield an answer with status 200. Raises APIError or UnexpectedAnswer for another."""
    async with answered(connections, request) as answer:
        if answer.status >= 400:
            raise refusal(answer.status, answer.headers, await answer.start(MAX_BODY))
        if answer.status >= 300:
            raise _leads_on(request, answer)
        if answer.status != 200:
            raise UnexpectedAnswer(f"The server answered {answer.status}, not 200.")
        yield answer


def _leads_on(request: Request, answer: Answer) -> UnexpectedAnswer:
    """Return the error for a redirect, which is not followed: the key is for this server alone."""
    where = printable(answer.headers.get("location", ""), 200) or "nowhere"
    return UnexpectedAnswer(
        f"{request.address.shown} leads on to {where} ({answer.status}); give that server's "
        "address if it is the right one."
    )


def checked_patience(timeout_s: object, retries: object) -> Patience:
    """Return what a caller allows for. Raises InputError."""
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InputError("retries must be a whole number, 0 or more.")
    if timeout_s is None:
        return Patience(None, retries)
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float):
        raise InputError("timeout_s must be a number of seconds, or None.")
    if not math.isfinite(timeout_s) or timeout_s <= 0:
        raise InputError("timeout_s must be more than 0 seconds, or None.")
    return Patience(float(timeout_s), retries)
