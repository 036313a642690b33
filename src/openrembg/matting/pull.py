"""How a model comes over the network: resumed, bounded, verified, and only then in its place.

The bytes go to `<name>.onnx.part`; `<name>.onnx.part.json` keeps the address and the server's
validator, so that a later run asks for the rest only (RFC 9110, sections 13.1.5 and 14). Nothing
has the final name before its checksum is right.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO, Final
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from openrembg.matting.errors import CorruptModel, PullFailed
from openrembg.matting.weights import Card, Weights, card_text, file_digest, read_card

RELEASE_URL: Final = "https://github.com/danielgatis/rembg/releases/download/v0.0.0"
MAX_BYTES: Final = 2 << 30
TIMEOUT_S: Final = 30.0
PAUSES_S: Final = (1.0, 3.0, 9.0)

Progress = Callable[[int, int | None], None]

_CHUNK = 1 << 18
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Interrupted(Exception):
    """An attempt that broke off; another one may succeed."""


def _silent(done: int, total: int | None) -> None:
    """Ignore progress."""


def pull(
    card: Card,
    models_dir: Path,
    base_url: str = RELEASE_URL,
    on_progress: Progress = _silent,
    *,
    timeout_s: float = TIMEOUT_S,
    pauses_s: tuple[float, ...] = PAUSES_S,
) -> Weights:
    """Fetch a card's file from `<base_url>/<card.file>` into `models_dir` and return it.

    on_progress: called with the bytes that are here and the bytes there are, if known.
    timeout_s: how long a silent server is waited for.
    pauses_s: seconds before each further attempt after the first; its length bounds the attempts.

    A file that is here already and verifies is not fetched again. Raises PullFailed with one
    sentence; what has come so far stays for the next attempt, unless its checksum is wrong.
    """
    url = f"{base_url.rstrip('/')}/{quote(card.file)}"
    _check_address(urlsplit(base_url), card)
    final = models_dir / f"{card.name}.onnx"
    with _sole_pull(models_dir, card):
        if not _is_here(Weights(card, final)):
            part = _Part(models_dir / f"{card.name}.onnx.part", url)
            _fetch_with_retries(card, part, on_progress, timeout_s, pauses_s)
            _verify(card, part)
            _put_in_place(part, final)
        return _with_card(card, final)


@dataclass(frozen=True, slots=True)
class _Part:
    """What has come so far, and where from."""

    path: Path
    url: str

    @property
    def note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "the server"

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def validator(self) -> str | None:
        """Return what If-Range must say to go on, None when there is nothing to go on from."""
        if self.size() == 0:
            return None
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            validator = note["validator"] if note["url"] == self.url else None
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return validator if isinstance(validator, str) and validator.isprintable() else None

    def begin(self, validator: str | None) -> None:
        """Forget what was there and remember by what a later attempt can go on."""
        self.discard()
        if validator is not None:
            self.note.write_text(json.dumps({"url": self.url, "validator": validator}))

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class _SameOrSafer(HTTPRedirectHandler):
    """Follow redirects over http and https, never from https to http."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        target = urlsplit(newurl).scheme
        if target not in ("http", "https") or (req.type == "https" and target == "http"):
            fp.close()
            raise PullFailed(f"{req.host} redirects to an address that is not safe to follow.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check_address(address: SplitResult, card: Card) -> None:
    try:
        usable = address.scheme in ("http", "https") and bool(address.hostname)
        usable = usable and address.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise PullFailed(
            f"'{card.name}' cannot be pulled: the base URL must start with https:// or http:// "
            "and name a host."
        )


@contextmanager
def _sole_pull(models_dir: Path, card: Card) -> Iterator[None]:
    """Hold the folder's lock, so that two pulls never write one file.

    Raises PullFailed when another pull runs, or the folder cannot be made or written.
    """
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        folder = os.open(models_dir, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(card, error) from error
    try:
        _lock(folder, card)
        yield
    except OSError as error:
        raise _unwritable(card, error) from error
    finally:
        os.close(folder)


def _lock(folder: int, card: Card) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PullFailed(
            f"'{card.name}' cannot be pulled: another pull into the same folder is running."
        ) from error
    except OSError:
        # Some network file systems have no locks on folders. One operator at a time is the
        # normal case, and the checksum still keeps a mixed-up file from getting its name.
        return


def _unwritable(card: Card, error: OSError) -> PullFailed:
    return PullFailed(
        f"'{card.name}' cannot be pulled: the models folder cannot be written "
        f"({error.strerror or error})."
    )


def _is_here(weights: Weights) -> bool:
    if not weights.path.is_file():
        return False
    try:
        weights.verify()
    except CorruptModel:
        return False
    return True


def _fetch_with_retries(
    card: Card,
    part: _Part,
    on_progress: Progress,
    timeout_s: float,
    pauses_s: tuple[float, ...],
) -> None:
    for pause_s in (*pauses_s, None):
        try:
            _fetch(card, part, on_progress, timeout_s)
            return
        except _Interrupted as error:
            if pause_s is None:
                raise PullFailed(
                    f"'{card.name}' could not be fetched from {part.host}: {error}. "
                    "Run the same command again to go on from where it stopped."
                ) from error
            time.sleep(pause_s)


def _fetch(card: Card, part: _Part, on_progress: Progress, timeout_s: float) -> None:
    """Make one request and write what comes. Raises _Interrupted where trying again may help."""
    try:
        with _open(part, timeout_s) as response:
            _receive(card, part, response, on_progress)
    except HTTPError as error:
        with error:
            _explain_refusal(card, part, error)


def _open(part: _Part, timeout_s: float) -> HTTPResponse:
    request = Request(part.url, headers={"User-Agent": "openrembg"})  # noqa: S310 - checked above
    validator = part.validator()
    if validator is not None:
        request.add_header("Range", f"bytes={part.size()}-")
        request.add_header("If-Range", validator)
    with _network():
        response: HTTPResponse = build_opener(_SameOrSafer).open(request, timeout=timeout_s)
    return response


@contextmanager
def _network() -> Iterator[None]:
    """Tell the network's errors from the disk's, which are OSErrors too."""
    try:
        yield
    except HTTPError:
        raise
    except (OSError, HTTPException) as error:
        raise _Interrupted(_reason(error)) from error


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        with _network():
            chunk = response.read1(_CHUNK)
        if not chunk:
            return
        yield chunk


def _explain_refusal(card: Card, part: _Part, error: HTTPError) -> None:
    """Return when the part is whole after all; else raise what the status means."""
    if error.code == 416:
        if file_digest(part.path, card.digest) == card.digest:
            return
        part.discard()
        raise _Interrupted("the server does not know the part that is here") from error
    if error.code in _TRANSIENT:
        raise _Interrupted(f"the server answered {error.code}") from error
    if 300 <= error.code < 400:
        raise PullFailed(
            f"'{card.name}' could not be fetched: {part.host} redirects in a circle."
        ) from error
    raise PullFailed(
        f"'{card.name}' could not be fetched: {part.host} answered {error.code} for {part.url}"
    ) from error


def _receive(card: Card, part: _Part, response: HTTPResponse, on_progress: Progress) -> None:
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise PullFailed(
            f"'{card.name}' could not be fetched: {part.host} sent a web page, not a model."
        )
    start, total = _extent(part, response)
    _check_room(card, part, start, total)
    if start == 0:
        part.begin(_validator_of(response))
    done = _write(card, part, response, total, on_progress)
    if total is not None and done < total:
        raise _Interrupted(f"the connection ended after {done} of {total} bytes")


def _extent(part: _Part, response: HTTPResponse) -> tuple[int, int | None]:
    """Return where the body starts in the file and how long the whole file is, if stated."""
    if response.status != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    if unit != "bytes" or span.partition("-")[0] != str(part.size()):
        part.discard()
        raise _Interrupted("the server sent another part than was asked for")
    return part.size(), int(total) if total.isdecimal() else None


def _check_room(card: Card, part: _Part, start: int, total: int | None) -> None:
    if total is None:
        return
    if total > MAX_BYTES:
        raise _too_large(card, part)
    if total - start > shutil.disk_usage(part.path.parent).free:
        raise PullFailed(f"'{card.name}' cannot be pulled: {total} bytes do not fit on the disk.")


def _too_large(card: Card, part: _Part) -> PullFailed:
    return PullFailed(
        f"'{card.name}' was not fetched: {part.host} offers more than {MAX_BYTES >> 30} GiB."
    )


def _validator_of(response: HTTPResponse) -> str | None:
    """Return the strong ETag, else the modification date, else None."""
    etag = response.headers.get("ETag")
    if etag is not None and not etag.startswith("W/"):
        return etag
    return response.headers.get("Last-Modified")


def _write(
    card: Card,
    part: _Part,
    response: HTTPResponse,
    total: int | None,
    on_progress: Progress,
) -> int:
    """Append the body to the part and return the part's size. The bytes are on the disk then."""
    done = part.size()
    with _appending(part.path) as file:
        on_progress(done, total)
        for chunk in _chunks(response):
            done += len(chunk)
            if done > MAX_BYTES:
                part.discard()
                raise _too_large(card, part)
            file.write(chunk)
            on_progress(done, total)
    return done


@contextmanager
def _appending(path: Path) -> Iterator[IO[bytes]]:
    with path.open("ab") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _verify(card: Card, part: _Part) -> None:
    if file_digest(part.path, card.digest) == card.digest:
        return
    part.discard()
    raise PullFailed(
        f"What {part.host} sent for '{card.name}' does not have the checksum that the card states. "
        "It was thrown away."
    )


def _put_in_place(part: _Part, final: Path) -> None:
    part.path.replace(final)
    part.note.unlink(missing_ok=True)
    _sync_folder(final.parent)


def _with_card(card: Card, final: Path) -> Weights:
    """Write the card beside its file, with the SHA-256 of exactly what is there."""
    path = final.with_suffix(".json")
    if not (path.is_file() and card.digest.startswith("sha256:")):
        text = card_text(card, file_digest(final, "sha256:"), final.stat().st_size)
        draft = path.with_name(f"{path.name}.part")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        _sync_folder(final.parent)
    return Weights(read_card(path), final)


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut, where the file system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(error: Exception) -> str:
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, TimeoutError):
        return "the server did not answer in time"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason).rstrip(".") or type(reason).__name__
