"""The client for programs with an event loop."""

import inspect
import os
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from openrembg.client.cutout import Cutout, SavedCutout
from openrembg.client.photo import AsyncPhotoInput
from openrembg.client.picture import Notify
from openrembg.client.progress import OnProgress, Progress, checked
from openrembg.client.session import Session, settings_of
from openrembg.client.usage import BillingCycle, Moment, Usage, usage_query
from openrembg.matting.options import Options

TIMEOUT_S: Final = 300.0
RETRIES: Final = 3

T = TypeVar("T")


class AsyncClient:
    """Ask a server to remove backgrounds; use it with `async with`, in one event loop.

    api_key: else REMBG_API_KEY of the environment, else anonymous. base_url: else REMBG_API_URL,
    else http://127.0.0.1:8000. timeout_s: for a whole call with its retries and waits, None for no
    limit. retries: attempts after the first. headers: sent with every request to the API.

    Proxies come from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; certificates are checked
    against the system's, or SSL_CERT_FILE. Raises InputError for arguments that cannot be used.
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
        self._session = Session(settings_of(api_key, base_url, timeout_s, retries, headers))

    async def remove_background(
        self,
        photo: AsyncPhotoInput,
        options: Options = Options(),
        *,
        on_upload: OnProgress | None = None,
        on_download: OnProgress | None = None,
        idempotency_key: str | None = None,
    ) -> Cutout:
        """Cut the subject out of a picture, and return it.

        photo: a path, an http(s) address (fetched once, without retries), bytes, a file, an
        iterable of bytes, each of them asynchronous if you like, or a Pillow image.
        on_upload, on_download: functions or coroutine functions of a Progress; what they raise ends
        the call. idempotency_key: calls with the same one and the same request are charged once.
        Raises InputError, ConnectionFailed, TimedOut, UnexpectedAnswer or an APIError.
        """
        return await _undisguised(
            self._session.cutout(
                photo, options, _notify(on_upload), _notify(on_download), idempotency_key
            )
        )

    async def save_cutout(
        self,
        photo: AsyncPhotoInput,
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
        return await _undisguised(
            self._session.saved_cutout(
                photo,
                target,
                overwrite,
                options,
                _notify(on_upload),
                _notify(on_download),
                idempotency_key,
            )
        )

    async def usage(
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
        return await self._session.usage(query)

    async def billing_cycles(self) -> tuple[BillingCycle, ...]:
        """Return all known billing periods of the key's account, the newest first."""
        return await self._session.billing_cycles()

    async def aclose(self) -> None:
        """Close the connections. Calls that come later raise ConnectionFailed."""
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


class _Disguised(Exception):
    """What a callback raised, so that nothing here takes it for an error of its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def _undisguised(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except _Disguised as disguised:
        error = disguised.error
    raise error


def _notify(callback: OnProgress | None) -> Notify:
    checked(callback)

    async def notify(progress: Progress) -> None:
        if callback is None:
            return
        try:
            told = callback(progress)
            if inspect.isawaitable(told):
                await told
        except Exception as error:
            raise _Disguised(error) from error

    return notify
