"""Requests that no library would write, and every answer to them, read from the socket."""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from services import HOST, Service

# Long enough on a busy machine; only a server that hangs takes as long.
PATIENCE_S: Final = 60.0
MIB: Final = 1024 * 1024
BOUNDARY: Final = b"fuzz"
FORM: Final = b"multipart/form-data; boundary=" + BOUNDARY


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """One answer. charged: what X-Credits-Charged says."""

    status: int
    charged: int
    body: bytes


def exchange(server: Service, data: bytes, at_least: int) -> list[RawAnswer]:
    """Send bytes, wait for so many answers, end our side, and return all that came.

    To end our side earlier is to leave, for this server. Raises TimeoutError when it says nothing
    more and stays.
    """
    with socket.create_connection((HOST, server.port), timeout=PATIENCE_S) as line:
        # A server that has seen enough answers and closes, while we still send.
        with suppress(BrokenPipeError, ConnectionResetError):
            line.sendall(data)
        said = b""
        with suppress(ConnectionResetError):
            while len(_read(said)) < at_least and (block := line.recv(MIB)):
                said += block
        with suppress(OSError):
            line.shutdown(socket.SHUT_WR)
            while block := line.recv(MIB):
                said += block
        return _read(said)


def _read(said: bytes) -> list[RawAnswer]:
    """Return each complete answer but the interim ones."""
    answers = []
    while b"\r\n\r\n" in said:
        head, _, said = said.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[0].startswith(b"HTTP/1."), lines[0]
        status = int(lines[0].split(b" ", 2)[1])
        fields = dict(line.lower().split(b":", 1) for line in lines[1:])
        size = int(fields.get(b"content-length", b"0"))
        if len(said) < size:
            break
        if status >= 200:
            charged = int(fields.get(b"x-credits-charged", b"0"))
            answers.append(RawAnswer(status, charged, said[:size]))
        said = said[size:]
    return answers


def request(
    body: bytes,
    *lines: bytes,
    content_type: bytes = FORM,
    path: bytes = b"/rmbg",
    method: bytes = b"POST",
    length: bytes | None = None,
) -> bytes:
    """Return a request. lines: further header lines. length: what it says of its body."""
    head = [method + b" " + path + b" HTTP/1.1", b"Host: fuzz", *lines]
    if content_type:
        head.append(b"Content-Type: " + content_type)
    if length != b"":
        head.append(b"Content-Length: " + (str(len(body)).encode() if length is None else length))
    return b"\r\n".join((*head, b"", body))


def part(disposition: bytes, payload: bytes, *lines: bytes) -> bytes:
    """Return a part without its delimiter."""
    head = (b"Content-Disposition: form-data" + disposition, *lines)
    return b"\r\n".join((*head, b"", payload))


def form(*parts: bytes, boundary: bytes = BOUNDARY) -> bytes:
    """Return a complete form."""
    whole = b"".join(b"--" + boundary + b"\r\n" + each + b"\r\n" for each in parts)
    return whole + b"--" + boundary + b"--\r\n"


def chunked(*chunks: bytes) -> bytes:
    """Return a body in chunks, with the last one."""
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
