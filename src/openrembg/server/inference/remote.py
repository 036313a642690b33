"""Mattes from a Ray cluster: the server's end of the line to its bridge.

The bridge is a process of its own, started again whenever it ends, after a rest that grows. No
thread of the server waits longer for it than OPENREMBG_RAY_TIMEOUT_S, whatever it does: killed,
stopped, or talking nonsense.
"""

import contextlib
import logging
import queue
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from openrembg.matting.decode import Source
from openrembg.matting.errors import InferenceFailed, UndecodableImage
from openrembg.matting.matter import Matte
from openrembg.server.errors import Busy, NotReady
from openrembg.server.inference import frames
from openrembg.server.inference.frames import Answer, FrameError, Kind, NoAnswer, Verdict
from openrembg.server.inference.state import State

FIRST_REST_S: Final = 1.0
LONGEST_REST_S: Final = 30.0
# A bridge tells of the cluster every two seconds; before its first word it imports Ray.
SILENT_S: Final = 10.0
HANGS_S: Final = 30.0
BEGINS_S: Final = 120.0
# To answer a little after the bridge has given up by itself.
GRACE_S: Final = 1.0
STOP_S: Final = 10.0
RETRY_AFTER_S: Final = 5
# What the log shows of a bridge's end: lines, and bytes of each.
LAST_WORDS: Final = 20
LONGEST_LINE: Final = 1000
LISTEN_S: Final = 1.0

logger = logging.getLogger("openrembg.ray")


@dataclass(slots=True, eq=False)
class _Call:
    """A picture on its way. done: an answer is there, or there will be none."""

    number: int
    data: bytes
    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | NoAnswer | None = None
    is_given_up: bool = False


class Line:
    """The socket to one bridge process: calls in, answers and verdicts out."""

    def __init__(self, line: socket.socket, hear: Callable[[Verdict], None]) -> None:
        self._socket = line
        self._hear = hear
        self._lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._next = 1
        self._is_open = True
        self._outbox: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self.last_word = 0.0

    def ask(self, data: bytes, timeout_s: float) -> Answer | NoAnswer:
        """Return what the bridge says of a picture; a trouble when it does not in time."""
        call = self._begin(data)
        if call is None:
            return NoAnswer("lost", "the bridge is gone", retried=False)
        try:
            if not call.done.wait(timeout_s):
                return NoAnswer("timeout", "the bridge did not answer", retried=False)
            return call.answer or NoAnswer("lost", "the bridge ended meanwhile", retried=False)
        finally:
            call.is_given_up = True
            with self._lock:
                self._calls.pop(call.number, None)

    def read(self) -> None:
        """Take what the bridge says until it hangs up. Raises FrameError, OSError."""
        while True:
            data = self._exactly(frames.HEAD_BYTES)
            if data is None:
                return
            head = frames.read_head(bytes(data))
            data = self._exactly(head.size)
            if data is None:
                return
            self._take(head, data)
            self.last_word = time.monotonic()

    def write(self) -> None:
        """Send calls until the line is closed; a bridge that does not read blocks this thread."""
        while (call := self._outbox.get()) is not None:
            if call.is_given_up:
                continue
            try:
                self._socket.sendall(frames.head(Kind.CALL, call.number, len(call.data)))
                self._socket.sendall(call.data)
            except OSError:
                return

    def close(self) -> None:
        """Hang up; whoever waits gets no answer."""
        with self._lock:
            self._is_open = False
            waiting, self._calls = list(self._calls.values()), {}
        for call in waiting:
            call.done.set()
        self._outbox.put(None)
        with contextlib.suppress(OSError):  # the other end was first
            self._socket.shutdown(socket.SHUT_RDWR)

    def _begin(self, data: bytes) -> _Call | None:
        with self._lock:
            if not self._is_open:
                return None
            call = _Call(self._next, data)
            self._next += 1
            self._calls[call.number] = call
        self._outbox.put(call)
        return call

    def _take(self, head: frames.Head, data: bytearray) -> None:
        if head.kind is Kind.VERDICT:
            self._hear(frames.read_verdict(bytes(data)))
            return
        if head.kind is Kind.CALL:
            raise FrameError("a bridge asks for no mattes")
        answer = frames.read_answer(data) if head.kind is Kind.MATTE else frames.read_trouble(data)
        with self._lock:
            call = self._calls.pop(head.call, None)
        if call is not None:  # else nobody waits for it any more
            call.answer = answer
            call.done.set()

    def _exactly(self, size: int) -> bytearray | None:
        """Return so many bytes, None when the bridge hung up before."""
        data = bytearray(size)
        view, got = memoryview(data), 0
        while got < size:
            count = self._socket.recv_into(view[got:])
            if not count:
                return None
            got += count
        return data


class RemoteBackend:
    """Keeps a bridge running, knows how the cluster stands, and hands out its Matter."""

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        environment: dict[str, str],
        timeout_s: float,
    ) -> None:
        self._command = command
        self._environment = environment
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._line: Line | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._verdict = Verdict("loading")
        self._is_judged = threading.Event()
        self._is_over = threading.Event()

    def start(self) -> None:
        """Start the bridge, unless that has begun already."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ray-bridge", daemon=True)
                self._thread.start()

    def wait(self, timeout_s: float | None = None) -> State:
        """Return the state when the cluster was first found ready or not, or time is up."""
        self.start()
        self._is_judged.wait(timeout_s)
        return self.state()

    def state(self) -> State:
        """Return how the cluster stands now."""
        verdict, line = self._verdict, self._line
        if verdict.status == "ready" and (line is None or _silence_s(line) > SILENT_S):
            return State("failed", reason="The bridge to the Ray cluster does not answer.")
        if verdict.by is None:
            return State(verdict.status, reason=verdict.reason, replicas=verdict.replicas)
        by = verdict.by
        return State(
            verdict.status, by.model, by.provider, by.precision, verdict.reason, verdict.replicas
        )

    def matter(
        self,
        before_waiting: Callable[[], None] | None = None,  # noqa: ARG002 (there is nothing to wait for)
    ) -> "RemoteMatter":
        """Return a Matter for one picture. Raises NotReady while the cluster is away."""
        self.start()
        state = self.state()
        if state.status != "ready":
            raise NotReady(state.reason or state.status)
        return RemoteMatter(self._ask, state)

    def stop(self) -> None:
        """Hang up, and wait for the bridge to leave the cluster; kill it when that takes long."""
        self._is_over.set()
        if self._line is not None:
            self._line.close()
        if self._thread is not None:
            self._thread.join(2 * STOP_S)

    def _ask(self, data: bytes) -> Answer:
        """Return the answer of the cluster. Raises Busy, NotReady, or a MattingError."""
        line, began = self._line, time.monotonic()
        answer: Answer | NoAnswer = NoAnswer("lost", "there is no bridge", retried=False)
        if line is not None:
            answer = line.ask(data, self._timeout_s + GRACE_S)
        _count(answer, time.monotonic() - began)
        if isinstance(answer, Answer):
            return answer
        raise _error_of(answer)

    def _run(self) -> None:
        rest_s = FIRST_REST_S
        while not self._is_over.is_set():
            was_ready = self._run_once()
            rest_s = FIRST_REST_S if was_ready else min(2 * rest_s, LONGEST_REST_S)
            if not self._is_over.is_set():
                logger.info("The next bridge to the Ray cluster starts", extra=_fields(in_s=rest_s))
                self._is_over.wait(rest_s)

    def _run_once(self) -> bool:
        """Run one bridge to its end; return whether it had found the cluster ready."""
        heard: set[str] = set()

        def hear(verdict: Verdict) -> None:
            heard.add(verdict.status)
            self._note(verdict)

        ours, theirs = socket.socketpair()
        with ours:
            line = Line(ours, hear)
            try:
                self._process = self._start_bridge(theirs)
            except OSError as error:
                self._note(Verdict("failed", "The bridge cannot be started.", str(error)))
                return False
            finally:
                theirs.close()
            self._serve(line, self._process)
        if not self._is_over.is_set() and (
            self._verdict.status == "ready" or "failed" not in heard
        ):
            self._note(Verdict("failed", _end_of(self._process.returncode)))
        return "ready" in heard

    def _start_bridge(self, end: socket.socket) -> subprocess.Popen[bytes]:
        """Start it in a session of its own: what is typed at a terminal is not meant for it."""
        return subprocess.Popen(
            self._command(end.fileno()),
            stdin=subprocess.DEVNULL,
            # What Ray says beside our own lines; it is shown when the bridge has ended.
            stdout=subprocess.PIPE,
            pass_fds=[end.fileno()],
            env=self._environment,
            start_new_session=True,
        )

    def _serve(self, line: Line, process: subprocess.Popen[bytes]) -> None:
        threads = [threading.Thread(target=line.write, name="ray-write", daemon=True)]
        threads += [threading.Thread(target=self._read, args=(line,), name="ray-read", daemon=True)]
        words: deque[str] = deque(maxlen=LAST_WORDS)
        listener = threading.Thread(target=_listen, args=(process, words), daemon=True)
        for thread in (*threads, listener):
            thread.start()
        self._line = line
        hangs = self._hangs_at_last(line, threads[1])
        self._line = None
        line.close()
        self._end(process, 0 if hangs else STOP_S)
        for thread in threads:
            thread.join(STOP_S)
        # Ray's own processes, if any are left, hold the other end open.
        listener.join(LISTEN_S)
        if not self._is_over.is_set():
            fields = _fields(code=process.returncode, detail="\n".join(words))
            logger.warning("The bridge to the Ray cluster ended", extra=fields)

    def _read(self, line: Line) -> None:
        try:
            line.read()
        except (FrameError, OSError) as error:
            logger.error("The bridge speaks nonsense", extra=_fields(detail=str(error)[:500]))

    def _hangs_at_last(self, line: Line, reader: threading.Thread) -> bool:
        """Return when the bridge has hung up, hangs, or is no longer wanted: whether it hangs."""
        began = time.monotonic()
        while reader.is_alive() and not self._is_over.is_set():
            reader.join(0.5)
            limit_s = HANGS_S if line.last_word else BEGINS_S
            if time.monotonic() - (line.last_word or began) > limit_s:
                logger.error("A bridge that hangs is killed")
                return True
        return False

    def _end(self, process: subprocess.Popen[bytes], patience_s: float) -> None:
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _note(self, verdict: Verdict) -> None:
        """Take a verdict; after the first one that says yes or no, there is no more beginning."""
        before, begins = self._verdict, verdict.status == "loading"
        if begins and self._is_judged.is_set():
            if before.status == "failed" and verdict.replicas is None:
                return  # it knows nothing of the cluster yet: the last reason says more
            verdict = replace(verdict, status="failed")
        self._verdict = verdict
        if begins:
            return
        if (before.status, before.reason) != (verdict.status, verdict.reason):
            _tell(verdict)
        self._is_judged.set()


class RemoteMatter:
    """Asks the cluster for one picture's matte; after that it says what really computed it."""

    def __init__(self, ask: Callable[[bytes], Answer], state: State) -> None:
        self._ask = ask
        self._model = state.model
        self._provider = state.provider

    @property
    def model(self) -> str:
        """The model's name."""
        return self._model

    @property
    def provider(self) -> str:
        """What really computes, for instance `OpenVINO CPU bf16`."""
        return self._provider

    def matte(self, source: Source) -> Matte:
        """Return the matte of a photo.

        Raises UndecodableImage, InferenceFailed; Busy or NotReady when no replica took it.
        """
        answer = self._ask(source.data)
        self._model, self._provider = answer.by.model, answer.by.provider
        return answer.matte


def _silence_s(line: Line) -> float:
    return time.monotonic() - line.last_word


def _listen(process: subprocess.Popen[bytes], words: deque[str]) -> None:
    """Keep a process's last lines, as long as it or a child of its says something."""
    if process.stdout is not None:
        with process.stdout as lines:
            while line := lines.readline(LONGEST_LINE):
                words.append(line.decode(errors="replace").strip())


def _end_of(code: int | None) -> str:
    """Return what /ready says of a bridge that ended without saying why."""
    how = "ended"
    if code is not None and code < 0:
        how = f"was ended by signal {-code}"
    elif code:
        how = f"ended with code {code}"
    return f"The bridge to the Ray cluster {how}; it starts again."


def _error_of(answer: NoAnswer) -> Exception:
    if answer.trouble == "undecodable":
        return UndecodableImage()
    if answer.trouble == "failed":
        return InferenceFailed(answer.detail)
    if answer.trouble == "busy":
        return Busy(answer.detail, retry_after_s=RETRY_AFTER_S)
    return NotReady(f"{answer.trouble}: {answer.detail}")


def _count(answer: Answer | NoAnswer, seconds: float) -> None:
    # Not before: the metrics ask the service, and that has this.
    from openrembg.server.observability.metrics import count_remote_call, count_remote_retry

    if answer.retried:
        count_remote_retry()
    outcome = "ok" if isinstance(answer, Answer) else answer.trouble
    count_remote_call("failed" if outcome == "another_version" else outcome, seconds)


def _tell(verdict: Verdict) -> None:
    if verdict.status == "ready" and verdict.by is not None:
        fields = {"model": verdict.by.model, "provider": verdict.by.provider}
        logger.info("The Ray cluster is ready", extra={"fields": fields})
        return
    fields = {"reason": verdict.reason} | ({"detail": verdict.detail} if verdict.detail else {})
    logger.error("The Ray cluster computes nothing", extra={"fields": fields})


def _fields(**fields: object) -> dict[str, dict[str, object]]:
    return {"fields": fields}
