"""An encrypted odd server with a certificate that it signed itself."""

import datetime as dt
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from odd_server import WEBP, OddServer, odd_server, read_head
from services import HOST

REFUSED = b'{"error": "invalid api key", "code": "invalid_api_key", "status": 401}'


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a server and what came of each handshake.

    It answers early, and reads no more, when it is asked with a key; else with a picture.
    folder: gets certificate.pem.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(folder))
    handshakes: list[str] = []

    def behave(server: OddServer, line: socket.socket) -> None:
        try:
            secure = context.wrap_socket(line, server_side=True)
        except OSError as error:
            handshakes.append(type(error).__name__)
            return
        handshakes.append("done")
        with secure:
            _converse(server, secure)

    with odd_server(behave) as server:
        yield f"https://{HOST}:{server.port}", handshakes


def _converse(server: OddServer, line: socket.socket) -> None:
    _, headers, part = read_head(line)
    if "x-api-key" in headers:
        _answer(line, "401 No", "application/json", REFUSED)
        server.stopped.wait()
        return
    left = int(headers["content-length"]) - len(part)
    while left:
        left -= len(line.recv(min(left, 1 << 20)))
    _answer(line, "200 OK", "image/webp", WEBP)


def _answer(line: socket.socket, status: str, kind: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    line.sendall(head.encode() + body)


def self_signed(folder: Path) -> Path:
    """Write a key and its certificate for this machine, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), False
        )
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return file
