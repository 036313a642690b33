"""The real nginx with the files of deploy/nginx, as an unprivileged user, before real servers."""

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services import HOST, NotStarted, Service, free_port, program

SHIPPED = Path(__file__).resolve().parents[2] / "deploy" / "nginx"
# Whom nginx runs as where the tests are root; as root it would drop its rights only half.
USER = "www-data"
# Where the files of deploy/nginx have nginx write.
TEMPORARY = "/tmp/"  # noqa: S108 (in a container of its own)
START_S = 30.0
STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Gate:
    """A running nginx. secure_port: where it speaks TLS, if it does."""

    service: Service
    secure_port: int


@contextmanager
def nginx(
    resolver: str,
    servers: str = "web",
    *,
    listens: str = "http",
    more: Mapping[str, str] | None = None,
) -> Iterator[Gate]:
    """Run nginx as it is shipped, but for ports and names.

    resolver: what stands in resolver.conf, where an upstream may be too. servers: what stands for
    `web:8000`. listens: http or https. more: what else is replaced in site.conf.
    """
    port, secure_port = free_port(), free_port()
    home = Path(tempfile.mkdtemp(prefix="openrembg-nginx-"))
    try:
        replaced = {"/etc/nginx/": f"{home}/", TEMPORARY: f"{home}/", "/run/secrets/": f"{home}/"}
        replaced |= {"8080": str(port), "8443": str(secure_port), "web:8000": servers}
        replaced |= more or {}
        names = re.compile("|".join(map(re.escape, replaced)))
        for file in SHIPPED.glob("*.conf"):
            text = names.sub(lambda found: replaced[found[0]], file.read_text())
            (home / file.name).write_text(text)
        (home / "resolver.conf").write_text(resolver)
        shutil.copy(home / f"{listens}.conf", home / "listen.conf")
        if listens == "https":
            _make_certificate(home)
        with _running(home, port) as service:
            yield Gate(service, secure_port)
    finally:
        shutil.rmtree(home)


def upstream(*servers: Service) -> str:
    """Return the group `web` for resolver.conf: servers on one address, which DNS cannot tell."""
    lines = " ".join(f"server {HOST}:{server.port};" for server in servers)
    return f"upstream web {{ {lines} }}"


@contextmanager
def name_server(addresses: Sequence[str]) -> Iterator[int]:
    """Answer every question for an address with these, on the UDP port that is given."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(0.2)
        ended = threading.Event()
        thread = threading.Thread(target=_answer_names, args=(sock, addresses, ended))
        thread.start()
        try:
            yield int(sock.getsockname()[1])
        finally:
            ended.set()
            thread.join()


def _answer_names(sock: socket.socket, addresses: Sequence[str], ended: threading.Event) -> None:
    while not ended.is_set():
        try:
            question, client = sock.recvfrom(512)
        except TimeoutError:
            continue
        sock.sendto(_name_answer(question, addresses), client)


def _name_answer(question: bytes, addresses: Sequence[str]) -> bytes:
    """Return a DNS answer with A records that live for a second (RFC 1035, 4.1)."""
    head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, len(addresses), 0, 0)
    asked = question[12 : question.index(b"\0", 12) + 5]
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4)
    return head + asked + b"".join(record + socket.inet_aton(one) for one in addresses)


def _make_certificate(home: Path) -> None:
    subprocess.run(
        [
            *(program("openssl"), "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={HOST}"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", str(home / "tls_key"), "-out", str(home / "tls_certificate")),
        ],
        check=True,
        capture_output=True,
    )


@contextmanager
def _running(home: Path, port: int) -> Iterator[Service]:
    owner = USER if os.getuid() == 0 else None
    log = home / "log.txt"
    log.touch()
    if owner:
        for path in [home, *home.iterdir()]:
            shutil.chown(path, owner)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [
                *(program("nginx", "/usr/sbin/nginx"), "-p", str(home)),
                *("-c", str(home / "nginx.conf"), "-e", "stderr", "-g", "daemon off;"),
            ],
            user=owner,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    service = Service(process, port, log)
    try:
        _wait_until_listening(service)
        yield service
        assert process.poll() is None, f"nginx died:\n{service.text()}"
        assert not re.search(r"\[(alert|emerg|crit)\]", service.text()), service.text()
        process.send_signal(signal.SIGQUIT)
        assert process.wait(STOP_S) == 0
    finally:
        # Not killed: its workers would outlive it.
        process.terminate()
        process.wait(STOP_S)


def _wait_until_listening(service: Service) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection((HOST, service.port), timeout=5).close()
            return
        except OSError as error:
            if service.process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"nginx did not start:\n{service.text()}") from error
        time.sleep(0.05)
