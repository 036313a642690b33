"""What both clients do, in one event loop: calls without a word on how progress is told."""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, Final

import anyio
import anyio.to_thread

from openrembg.client.address import Address, base_address
from openrembg.client.call import (
    Attempts,
    Patience,
    Removal,
    Unwritten,
    checked_patience,
    in_time,
    json_of,
)
from openrembg.client.connections import CLOSED, Connections
from openrembg.client.credentials import IDEMPOTENCY_KEY, Credentials, checked_headers, key_of
from openrembg.client.cutout import Cutout, Facts, SavedCutout
from openrembg.client.errors import ConnectionFailed, InputError, NotSaved
from openrembg.client.exchange import Request
from openrembg.client.form import form_for
from openrembg.client.photo import AsyncPhotoInput, opened
from openrembg.client.picture import Notify
from openrembg.client.plain_text import printable
from openrembg.client.usage import BillingCycle, Usage, cycles_in, usage_in
from openrembg.matting.options import Options
from openrembg.whole_file import named, whole_file

REMOVAL: Final = "/rmbg"
USAGE: Final = "/api/membership-usage"


@dataclass(frozen=True, slots=True)
class Settings:
    """A server, who asks it, and with how much patience."""

    address: Address
    credentials: Credentials
    patience: Patience


def settings_of(
    api_key: str | None,
    base_url: str | None,
    timeout_s: float | None,
    retries: int,
    headers: Mapping[str, str] | None,
) -> Settings:
    """Return what a caller and the environment say now. Raises InputError."""
    address = base_address(base_url, os.environ)
    credentials = Credentials(
        key_of(api_key, os.environ), address.authorization, checked_headers(headers)
    )
    return Settings(address, credentials, checked_patience(timeout_s, retries))


class Session:
    """Calls with such settings, and their connections."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.address
        self._patience = settings.patience
        self._credentials = settings.credentials
        self._connections = Connections()
        self._closed = False

    async def cutout(
        self,
        photo: AsyncPhotoInput,
        options: Options,
        on_upload: Notify,
        on_download: Notify,
        idempotency_key: str | None,
    ) -> Cutout:
        """Return a picture's cut-out."""
        file = io.BytesIO()
        request = self._request(options, idempotency_key)
        facts, _ = await self._remove(photo, options, file, on_upload, on_download, request)
        return Cutout(**_named(facts), data=file.getvalue())

    async def saved_cutout(
        self,
        photo: AsyncPhotoInput,
        target: "str | os.PathLike[str]",
        overwrite: bool,
        options: Options,
        on_upload: Notify,
        on_download: Notify,
        idempotency_key: str | None,
    ) -> SavedCutout:
        """Write a picture's cut-out into a file as it comes, whole or nothing."""
        path, request = _target(target), self._request(options, idempotency_key)
        facts: Facts | None = None
        try:
            with whole_file(path, overwrite=overwrite) as file:
                try:
                    facts, size = await self._remove(
                        photo, options, file, on_upload, on_download, request
                    )
                except Unwritten as unwritten:
                    facts = unwritten.facts
                    raise unwritten.error from None
                file.flush()
                # The disk may take its time; the draft's end, which syncs too, is quick then.
                await anyio.to_thread.run_sync(os.fsync, file.fileno(), abandon_on_cancel=True)
        except OSError as error:
            if facts is None:
                raise named(error, path) from None
            raise _not_saved(path, error, facts, request) from error
        return SavedCutout(**_named(facts), path=path, size_bytes=size)

    async def usage(self, query: Mapping[str, str]) -> Usage:
        """Return the usage that a query asks for."""
        return usage_in(await self._asked(query))

    async def billing_cycles(self) -> tuple[BillingCycle, ...]:
        """Return all billing periods, the newest first."""
        return cycles_in(await self._asked({"listBillingCycles": "1"}))

    async def aclose(self) -> None:
        """Close the connections. Calls that come later raise ConnectionFailed."""
        self._closed = True
        await self._connections.aclose()

    async def _remove(
        self,
        photo: AsyncPhotoInput,
        options: Options,
        file: BinaryIO,
        on_upload: Notify,
        on_download: Notify,
        request: Request,
    ) -> tuple[Facts, int]:
        async def work(attempts: Attempts) -> tuple[Facts, int]:
            async with opened(photo, self._connections) as upload:
                form = form_for(upload.name, options)
                removal = Removal(
                    self._connections,
                    request,
                    form,
                    upload,
                    f"image/{options.format}",
                    on_upload,
                    on_download,
                )
                return await attempts.until_done(lambda: removal.into(file))

        return await in_time(self._patience, work)

    def _request(self, options: object, idempotency_key: str | None) -> Request:
        """Return a removal's request, still without its picture."""
        self._check_open()
        if not isinstance(options, Options):
            raise InputError(f"The options must be Options, not {type(options).__name__}.")
        headers = self._credentials.headers_once(idempotency_key)
        return Request("POST", self._address.below(REMOVAL), headers)

    async def _asked(self, query: Mapping[str, str]) -> object:
        self._check_open()
        address = self._address.below(USAGE, query)
        request = Request("GET", address, self._credentials.headers())

        async def work(attempts: Attempts) -> object:
            return await attempts.until_done(lambda: json_of(self._connections, request))

        return await in_time(self._patience, work)

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionFailed(CLOSED, may_pass=False, reached=False)


def _named(facts: Facts) -> dict[str, Any]:
    return {field.name: getattr(facts, field.name) for field in fields(facts)}


def _not_saved(path: Path, error: OSError, facts: Facts, request: Request) -> NotSaved:
    key = request.headers.get(IDEMPOTENCY_KEY)
    again = (
        f" Repeat the call with idempotency_key='{key}': it is not charged again." if key else ""
    )
    reason = error.strerror or type(error).__name__
    return NotSaved(
        f"The picture came, but {printable(str(path), 200)} cannot be written: {reason}.{again}",
        path,
        facts.credits_charged,
        key,
    )


def _target(target: object) -> Path:
    if not isinstance(target, str | os.PathLike):
        raise InputError(f"The target must be a path, not {type(target).__name__}.")
    text = os.fspath(target)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InputError("The target's path is empty, not text, or has a NUL character in it.")
    return Path(text)
