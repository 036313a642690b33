"""Services that end while others use them, and begin again on their port, with their data."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from redis import Redis
from redis.exceptions import ConnectionError as NotThere

from houses import wait_until
from services import HOST, Service


@dataclass
class Restarting:
    """A service of services.py. process: the one that runs now, or ran last."""

    service: Service
    process: "subprocess.Popen[bytes]"
    command: list[str]

    def end(self, by: signal.Signals) -> None:
        """Send a signal and wait until the process has ended."""
        self.process.send_signal(by)
        self.process.wait()

    def begin(self) -> None:
        """Start it as it was started before, and wait until it answers."""
        wait_until(self._has_begun)

    def begin_with(self, changes: Mapping[str, str]) -> None:
        """Start it anew with some of its arguments changed, now and whenever it begins again."""
        self.end(signal.SIGINT)
        self.command = [changes.get(word, word) for word in self.command]
        self.begin()

    def _has_begun(self) -> bool:
        if self.process.poll() is not None:
            # A killed one may have left something behind that goes away by itself.
            self.process = self._started()
            time.sleep(0.1)
        return self._answers()

    def _started(self) -> "subprocess.Popen[bytes]":
        is_postgresql = self._is_postgresql()
        with self.service.log.open("ab") as log:
            return subprocess.Popen(
                self.command,
                cwd="/",
                user="postgres" if is_postgresql and os.getuid() == 0 else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _is_postgresql(self) -> bool:
        return self.command[0].endswith("postgres")

    def _answers(self) -> bool:
        try:
            if self._is_postgresql():
                where = f"host={HOST} port={self.service.port} user=postgres dbname=postgres"
                psycopg.connect(where).close()
            else:
                with Redis(port=self.service.port) as client:
                    client.ping()
        except (psycopg.Error, NotThere):
            return False
        return True


@contextmanager
def restarting(service: Service) -> Iterator[Restarting]:
    """Let a service end and begin again; whichever process runs last is ended."""
    command = service.process.args
    assert isinstance(command, list)
    one = Restarting(service, service.process, [str(word) for word in command])
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()
