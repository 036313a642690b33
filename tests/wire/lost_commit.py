"""A line to a PostgreSQL that loses the answer to one COMMIT, which the database has heard."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from services import HOST

PIECE = 64 * 1024
LEDGER = b"quota_ledgerentry"


@dataclass
class LostCommit:
    """The line. After `lose`, the first COMMIT of a change of the ledger is its connection's last:
    the answer never comes.
    """

    port: int
    target: int
    lost: threading.Event = field(default_factory=threading.Event)
    _loses: threading.Event = field(default_factory=threading.Event)

    def lose(self) -> None:
        """Let it happen once."""
        self.lost.clear()
        self._loses.set()

    def carry(self, client: socket.socket) -> None:
        """Carry one connection until either side ends it."""
        with client, socket.create_connection((HOST, self.target)) as server:
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            heard = False
            with contextlib.suppress(OSError):
                while piece := client.recv(PIECE):
                    heard = self._loses.is_set() and (heard or LEDGER in piece)
                    if heard and b"COMMIT" in piece:
                        self._lose(client, server, piece)
                        return
                    server.sendall(piece)

    def _lose(self, client: socket.socket, server: socket.socket, commit: bytes) -> None:
        self._loses.clear()
        client.shutdown(socket.SHUT_RDWR)
        server.sendall(commit)
        # The database ends the connection only after it has done what it heard before.
        server.shutdown(socket.SHUT_WR)
        self.lost.set()


@contextlib.contextmanager
def lost_commit(target: int) -> Iterator[LostCommit]:
    """Put the line before a PostgreSQL's port; it passes on everything at first."""
    with socket.create_server((HOST, 0)) as listener:
        line = LostCommit(listener.getsockname()[1], target)
        thread = threading.Thread(target=_accept, args=(listener, line))
        thread.start()
        try:
            yield line
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listener: socket.socket, line: LostCommit) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=line.carry, args=(client,), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_RDWR)
