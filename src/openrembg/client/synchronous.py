"""The client for programs without an event loop."""

import inspect
import os
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from openrembg.client.asynchronous import RETRIES, TIMEOUT_S
from openrembg.client.connections import CLOSED
from openrembg.client.cutout import Cutout, SavedCutout
from openrembg.client.errors import ConnectionFailed, InputError
from openrembg.client.loop_thread import LoopThread, Relay
from openrembg.client.photo import PhotoInput
from openrembg.client.picture import Notify
from openrembg.client.progress import OnProgress, Progress, checked
from openrembg.client.session import Session, settings_of
from openrembg.client.usage import BillingCycle, Moment, Usage, usage_query
from openrembg.matting.options import Options

NOT_AWAITED: Final = "A callback of Client must be a plain function; AsyncClient awaits coroutines."

T = TypeVar("T")
Tell = Callable[[OnProgress | None], Notify]


class Client:
    """Ask a server to remove backgrounds; use it with `with`, from as many threads as you like.

    api_key: else REMBG_API_KEY of the environment, else anonymous. base_url: else REMBG_API_URL,
    else http://127.0.0.1:8000. timeout_s: for a whole call with its retries and waits, None for no
    limit. retries: attempts after the first. headers: sent with every request to the API.

    Proxies come from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; certificates are checked
    against the system's, or SSL_CERT_FILE. Raises InputError for arguments that cannot be used.

    The network is served by a thread of the client's own, which begins with the first call;
    callbacks run in the thread that called.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout_s: float | None = TIMEOUT_S,
        retries: int = RETRIES,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = settings_of(api_key, base_url, timeout_s, retries, headers)
        self._lock = threading.RLock()
        self._closed = False
        self._house: _House | None = None

    def remove_background(
        self,
        photo: PhotoInput,
        options: Options = Options(),
        *,
        on_upload: OnProgress | None = None,
        on_download: OnProgress | None = None,
        idempotency_key: str | None = None,
    ) -> Cutout:
        """Cut the subject out of a picture, and return it.

        photo: a path, an http(s) address (fetched once, without retries), bytes, a file, an
        iterable of bytes, or a Pillow image. on_upload, on_download: called with a Progress; what
        they raise ends the call. idempotency_key: calls with the same one and the same request are
        charged once.
        Raises InputError, ConnectionFailed, TimedOut, UnexpectedAnswer or an APIError.
        """
        return self._call(
            lambda session, tell: session.cutout(
                photo, options, tell(on_upload), tell(on_download), idempotency_key
            )
        )

    def save_cutout(
        self,
        photo: PhotoInput,
        target: "str | os.PathLike[str]",
        options: Options = Options(),
        *,
        overwrite: bool = True,
        on_upload: OnProgress | None = None,
        on_download: OnProgress | None = None,
        idempotency_key: str | None = None,
    ) -> SavedCutout:
        """Cut the subject out of a picture and stream the result into a file, whole or nothing.

        The arguments are those of `remove_background`. Raises what it raises; before anything is
        sent, FileExistsError when the target is there and must stay, and OSError when it cannot be
        written; NotSaved when that turns out after the picture came.
        """
        return self._call(
            lambda session, tell: session.saved_cutout(
                photo,
                target,
                overwrite,
                options,
                tell(on_upload),
                tell(on_download),
                idempotency_key,
            )
        )

    def usage(
        self,
        *,
        year: int | None = None,
        month: int | None = None,
        period_start: Moment | None = None,
        billing_cycle: bool = True,
    ) -> Usage:
        """Return what the key's account has and has used.

        year, month: a calendar month in UTC, each the current one by default. period_start: a
        billing period instead, by its first second. billing_cycle: tell the billing period too.
        Raises InputError, ConnectionFailed, TimedOut, UnexpectedAnswer or an APIError.
        """
        query = usage_query(
            year=year, month=month, period_start=period_start, billing_cycle=billing_cycle
        )
        return self._call(lambda session, _: session.usage(query))

    def billing_cycles(self) -> tuple[BillingCycle, ...]:
        """Return all known billing periods of the key's account, the newest first."""
        return self._call(lambda session, _: session.billing_cycles())

    def close(self) -> None:
        """Close the connections and end what still runs; those calls raise ConnectionFailed."""
        with self._lock:
            self._closed = True
            house = self._house
        if house is not None:
            house.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, work: Callable[[Session, Tell], Coroutine[Any, Any, T]]) -> T:
        house = self._open_house()
        return house.loop.call(lambda relay: work(house.session, _teller(relay)))

    def _open_house(self) -> "_House":
        """Return the session and its thread. A forked child has no thread, and begins anew."""
        with self._lock:
            if self._closed:
                raise ConnectionFailed(CLOSED, may_pass=False, reached=False)
            house = self._house
            if house is None or not house.is_usable:
                house = _House(Session(self._settings))
                weakref.finalize(self, house.close)
                # Known before its thread begins: what is interrupted can be closed.
                self._house = house
            house.loop.start()
            return house


class _House:
    """A session, the thread whose loop it lives in, and the process that both belong to."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.loop = LoopThread(session.aclose)
        self.process = os.getpid()

    @property
    def is_usable(self) -> bool:
        return self.process == os.getpid() and not self.loop.is_closed

    def close(self) -> None:
        if self.process == os.getpid():
            self.loop.close()


def _teller(relay: Relay) -> Tell:
    """Return what makes a notification of a callback, which then runs in the caller's thread."""

    def tell(callback: OnProgress | None) -> Notify:
        checked(callback)
        call = getattr(callback, "__call__", None)  # noqa: B004 (an object's, which may be async)
        if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(call):
            raise InputError(NOT_AWAITED)

        async def notify(progress: Progress) -> None:
            if callback is not None:
                await relay(lambda: _told(callback, progress))

        return notify

    return tell


def _told(callback: OnProgress, progress: Progress) -> None:
    made = callback(progress)
    if inspect.iscoroutine(made):
        made.close()
        raise InputError(NOT_AWAITED)
