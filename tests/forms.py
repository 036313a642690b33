"""Multipart forms written byte by byte, and answers read without a library's opinion on them."""

import http.client
import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from services import HOST, Service

BOUNDARY = "----wire-test-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
ANSWER_S = 120.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form; a filename, even an empty one, makes it a file."""

    name: str
    body: bytes
    filename: str | None = None
    content_type: str | None = None

    def encoded(self) -> bytes:
        """Return the part as RFC 7578 writes it, with its delimiter before it."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{self.name}"'
        if self.filename is not None:
            head += f'; filename="{self.filename}"'
        if self.content_type is not None:
            head += f"\r\nContent-Type: {self.content_type}"
        return head.encode() + b"\r\n\r\n" + self.body + b"\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def told(self) -> dict[str, Any]:
        """The error without what may be added to it: a code and the request's id."""
        return {key: self.json[key] for key in self.json if key not in ("code", "request_id")}


def photo(data: bytes, filename: str = "photo.png") -> Part:
    """Return the form's image."""
    return Part("image", data, filename, "application/octet-stream")


def field(name: str, text: str) -> Part:
    """Return a plain field."""
    return Part(name, text.encode())


def form(*parts: Part) -> bytes:
    """Return a complete form."""
    return b"".join(part.encoded() for part in parts) + f"--{BOUNDARY}--\r\n".encode()


def post(
    server: Service,
    *parts: Part,
    path: str = "/rmbg",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Post a form on a connection of its own."""
    return send(server, "POST", path, form(*parts), {"Content-Type": FORM, **(headers or {})})


def send(
    server: Service,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send one request on a connection of its own; an iterable body goes out in chunks."""
    connection = http.client.HTTPConnection(HOST, server.port, timeout=ANSWER_S)
    try:
        connection.request(
            method,
            path,
            body,
            dict(headers or {}),
            encode_chunked=not (body is None or isinstance(body, bytes)),
        )
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def send_head(server: Service, *lines: str) -> Answer:
    """Send a request's head alone, and read the answer that comes before any body is sent."""
    with socket.create_connection((HOST, server.port), timeout=ANSWER_S) as connection:
        connection.sendall("\r\n".join([*lines, f"Host: {HOST}:{server.port}", "", ""]).encode())
        answer = http.client.HTTPResponse(connection)
        try:
            answer.begin()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            answer.close()


def flat(message: str, field_name: str) -> dict[str, Any]:
    """Return the documented shape for one wrong field."""
    return {"error": message, "field": field_name, "status": 400}


def several(*details: tuple[str, str]) -> dict[str, Any]:
    """Return the documented shape for several wrong fields: (field, message) each."""
    return {
        "error": "Multiple validation errors",
        "details": [{"field": name, "message": message} for name, message in details],
        "status": 400,
    }
