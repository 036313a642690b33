"""An nginx before several servers, which an operator takes out of the group and puts back."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from houses import wait_until
from services import HOST, Service, children_of, free_port, program

WORKERS = 2
STOP_S = 30.0
# A client's connection lasts for one answer: nginx closes kept ones when it is told of a change, in
# the face of a client that is about to use its own.
CONFIGURATION = """
daemon off; worker_processes {workers}; pid {home}/pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_timeout 0;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    include {home}/group;
    server {{
        listen {host}:{port};
        client_max_body_size 0;
        location / {{
            proxy_pass http://group;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_next_upstream error timeout;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """A running nginx. home: where it looks for the servers of its group."""

    service: Service
    home: Path

    def lead_to(self, servers: Sequence[Service]) -> None:
        """Let new requests go to these servers alone; those that are on their way go on."""
        before = set(children_of(self.service.process.pid))
        _write_group(self.home, servers)
        self.service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not before & set(children_of(self.service.process.pid)))


@contextmanager
def gate(servers: Sequence[Service]) -> Iterator[Gate]:
    """Run nginx before these servers."""
    home, port = Path(tempfile.mkdtemp(prefix="openrembg-gate-")), free_port()
    try:
        home.chmod(0o755)
        (home / "nginx.conf").write_text(
            CONFIGURATION.format(home=home, host=HOST, port=port, workers=WORKERS)
        )
        _write_group(home, servers)
        with _nginx(home, port) as service:
            yield Gate(service, home)
    finally:
        shutil.rmtree(home)


@contextmanager
def _nginx(home: Path, port: int) -> Iterator[Service]:
    command = [program("nginx", "/usr/sbin/nginx"), "-e", "stderr", "-p", str(home)]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "-c", str(home / "nginx.conf")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: len(children_of(process.pid)) == WORKERS)
        yield Service(process, port, home / "log")
        process.send_signal(signal.SIGQUIT)
        assert process.wait(STOP_S) == 0
    finally:
        process.kill()
        process.wait()


def _write_group(home: Path, servers: Sequence[Service]) -> None:
    lines = " ".join(f"server {HOST}:{server.port};" for server in servers)
    (home / "group").write_text(f"upstream group {{ {lines} }}\n")
