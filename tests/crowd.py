"""Very many clients at once, each with one request; only what a test asks of them is kept."""

import asyncio
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forms import FORM
from services import HOST

ANSWER_S = 240.0


@dataclass(frozen=True, slots=True)
class Seen:
    """One answer: status, headers in lower case, and the digest of its body."""

    status: int
    headers: Mapping[str, str]
    digest: str
    body: bytes


def ask_at_once(
    ports: Sequence[int], number: int, body: bytes, headers: Mapping[str, str]
) -> list[Seen]:
    """POST the same form `number` times at once to /rmbg, the servers taking turns."""
    return asyncio.run(_ask_all(ports, number, _request(body, headers)))


async def _ask_all(ports: Sequence[int], number: int, request: bytes) -> list[Seen]:
    turns = itertools.islice(itertools.cycle(ports), number)
    connections = await asyncio.gather(*(asyncio.open_connection(HOST, port) for port in turns))
    asked = (_ask(reader, writer, request) for reader, writer in connections)
    return list(await asyncio.wait_for(asyncio.gather(*asked), ANSWER_S))


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> Seen:
    try:
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers["content-length"]))
    finally:
        writer.close()
    return Seen(int(head[0].split()[1]), headers, hashlib.sha256(body).hexdigest(), body)


def _request(body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = {
        "Host": HOST,
        "Content-Type": FORM,
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /rmbg HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
