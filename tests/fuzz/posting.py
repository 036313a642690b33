"""Post a file under every name that a client could give it, and judge the answer."""

import http.client
import io
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from answer_faults import answer_faults
from quoting import curl_file, shell_word

BOUNDARY: Final = "openrembg-fuzz-9d1f0c"
BLOCK_BYTES: Final = 1 << 20
# A server that still says 429 after so many waits does not mean it.
MOST_WAITS: Final = 20
LONGEST_WAIT_S: Final = 600

Answer = tuple[http.client.HTTPResponse, bytes]


class Unreadable(Exception):
    """The file cannot be read any more; the message says why."""


class NoConnection(Exception):
    """The server takes no connection; the message says why."""


class OutOfCredits(Exception):
    """The member may not post any more today; the message is the server's."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What is claimed of a file and asked of it. angle: in degrees, "" for none."""

    name: str
    media_type: str
    format: str
    angle: str = ""

    @property
    def fields(self) -> dict[str, str]:
        """The form's text fields."""
        return {"format": self.format, **({"angle": self.angle} if self.angle else {})}


# Another format is asked for each time, so that all are written; to turn costs the most memory.
DECLARED: Final = (
    Declared("x.jpg", "image/jpeg", "png"),
    Declared("x.png", "image/png", "webp"),
    Declared("x.webp", "image/webp", "jpeg"),
    Declared("x.bmp", "image/bmp", "bmp"),
    Declared("x", "application/octet-stream", "webp"),
    Declared("x.jpg", "image/jpeg", "webp", angle="45"),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A server, and the key of a member on it."""

    url: str
    key: str = field(default="", repr=False)

    def connect(self, timeout_s: float) -> http.client.HTTPConnection:
        """Return an open connection of its own. Raises NoConnection."""
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout_s, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        try:
            connection.connect()
        except OSError as error:
            raise NoConnection(f"{type(error).__name__} {error}") from error
        return connection

    @property
    def path(self) -> str:
        """What stands before every path on that server."""
        return urlsplit(self.url).path.rstrip("/")

    @property
    def headers(self) -> dict[str, str]:
        """Who asks."""
        return {"x-api-key": self.key} if self.key else {}

    def usage(self) -> dict[str, int]:
        """Return the counters of GET /api/membership-usage. Raises ValueError, NoConnection."""
        with closing(self.connect(30)) as connection:
            connection.request("GET", f"{self.path}/api/membership-usage", headers=self.headers)
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != 200:
            raise ValueError(f"membership-usage answers {answer.status}: {body[:200]!r}")
        return dict(json.loads(body))


@dataclass(frozen=True, slots=True)
class Posted:
    """One request and what came of it. status: 0 when there was no answer.

    refused: the server did not even take the connection.
    """

    path: Path
    declared: Declared
    status: int
    seconds: float
    charged: int
    faults: tuple[str, ...]
    refused: bool = False

    def curl(self, url: str) -> str:
        """Return the command that does it again."""
        declared = self.declared
        image = f"image={curl_file(self.path.resolve())}"
        image += f";filename={declared.name};type={declared.media_type}"
        words = ["curl", "-sS", "-D-", "-o/dev/null", "-F", image]
        for name, value in declared.fields.items():
            words += ["-F", f"{name}={value}"]
        quoted = " ".join(map(shell_word, [*words, f"{url}/rmbg"]))
        return f'{quoted} -H "x-api-key: $KEY"'


def post_as(
    target: Target,
    path: Path,
    declared: Declared,
    limit_s: float,
    on_wait: Callable[[float], None],
) -> Posted:
    """Post a file under one of the names; waits three times as long as is right.

    on_wait: told the seconds when the server wants us slower. Raises Unreadable, OutOfCredits.
    """
    for _ in range(MOST_WAITS):
        began = time.monotonic()
        try:
            answer, body = _exchange(target, path, declared, limit_s * 3)
        except (OSError, http.client.HTTPException, NoConnection) as error:
            return _unanswered(path, declared, time.monotonic() - began, error)
        seconds = time.monotonic() - began
        if answer.status != 429:
            break
        wait_s = _wait_s(answer, body)
        on_wait(wait_s)
        time.sleep(wait_s)
    faults = [*answer_faults(answer, body, declared.format)]
    if seconds > limit_s:
        faults.append(f"took {seconds:.1f} s")
    charged = answer.headers.get("X-Credits-Charged", "")
    paid = int(charged) if charged.isdecimal() else 0
    return Posted(path, declared, answer.status, seconds, paid, tuple(faults))


def _unanswered(path: Path, declared: Declared, seconds: float, error: Exception) -> Posted:
    refused = isinstance(error, NoConnection)
    what = str(error) if refused else f"{type(error).__name__} {error}".strip()
    return Posted(path, declared, 0, seconds, 0, (f"no answer: {what}",), refused)


def _wait_s(answer: http.client.HTTPResponse, body: bytes) -> float:
    """Return how long a 429 tells to wait. Raises OutOfCredits when that is not for now."""
    told = answer.headers.get("Retry-After", "")
    if not told.isdecimal() or int(told) > LONGEST_WAIT_S:
        raise OutOfCredits(f"429 {body[:120]!r}")
    return float(told)


def _exchange(target: Target, path: Path, declared: Declared, timeout_s: float) -> Answer:
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unreadable(str(error.strerror)) from error
    with file, closing(target.connect(timeout_s)) as connection:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        head, tail = _frame(declared)
        connection.putrequest("POST", f"{target.path}/rmbg")
        connection.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        connection.putheader("Content-Length", str(len(head) + size + len(tail)))
        for header, value in target.headers.items():
            connection.putheader(header, value)
        connection.endheaders()
        # A server that has answered already may close; its answer is still there to be read.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.send(head)
            for block in _blocks(file, size):
                connection.send(block)
            connection.send(tail)
        answer = connection.getresponse()
        return answer, answer.read()


def _frame(declared: Declared) -> tuple[bytes, bytes]:
    """Return what of the form stands before the file and after it."""
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in declared.fields.items()
    )
    image = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; '
        f'filename="{declared.name}"\r\nContent-Type: {declared.media_type}\r\n\r\n'
    )
    return (fields + image).encode(), f"\r\n--{BOUNDARY}--\r\n".encode()


def _blocks(file: io.BufferedReader, size: int) -> Iterator[bytes]:
    """Yield exactly what was announced. Raises Unreadable when there is less by now."""
    while size:
        try:
            block = file.read(min(size, BLOCK_BYTES))
        except OSError as error:
            raise Unreadable(str(error.strerror)) from error
        if not block:
            raise Unreadable("it became shorter while it was posted")
        size -= len(block)
        yield block
