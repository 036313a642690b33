"""One file through the library, in a process that may die of it.

A child takes many files, one after another, under a limit of address space. What it does wrong is
told by name: another error than the library's own, a signal, no answer in time, too much memory.
"""

import multiprocessing
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Literal

from fakes.steady_matter import SteadyMatter
from openrembg.matting.decode import Source
from openrembg.matting.errors import ImageError
from openrembg.matting.options import Options
from openrembg.matting.pipeline import cut_out, peak_pixels
from openrembg.matting.tuning import tune_process

Format = Literal["png", "jpeg", "webp", "bmp"]

LIMIT_S: Final = 10.0
# The limit is in seconds of the processor's time; a child that waits for its turn has no fault.
PATIENCE: Final = 6
MIB: Final = 1024 * 1024
OWN_PROCESS: Final = Path("/proc/self")
# What one file may add to the child.
LIMIT_BYTES: Final = 1536 * MIB
# Libraries and the arenas of threads take address space that they never touch.
ADDRESS_BYTES: Final = 12 * 1024 * MIB
# A picture of more pixels is decoded and then given up, so that a minute sees more than ten.
MOST_PIXELS: Final = 4_000_000
FORMATS: Final[tuple[Format, ...]] = ("webp", "png", "jpeg", "bmp")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a file. fault: "" when all is well, else what is wrong, in a sentence."""

    outcome: str
    seconds: float = 0.0
    grew_bytes: int = 0
    fault: str = ""


@dataclass(slots=True)
class Decoder:
    """A child that decodes what it gets, made anew after it died."""

    limit_s: float = LIMIT_S
    _context: multiprocessing.context.SpawnContext = field(
        default_factory=lambda: multiprocessing.get_context("spawn")
    )
    _process: "multiprocessing.process.BaseProcess | None" = None
    _pipe: "Connection[bytes, Verdict] | None" = None

    def judge(self, data: bytes) -> Verdict:
        """Return what the library makes of a file."""
        pipe, process = self._child()
        with suppress(BrokenPipeError):  # it died while nothing was asked of it
            pipe.send(data)
        if not pipe.poll(self.limit_s * PATIENCE):
            self.end()
            return Verdict("hangs", fault=f"no answer within {self.limit_s * PATIENCE:.0f} s")
        try:
            verdict: Verdict = pipe.recv()
        except (EOFError, ConnectionResetError):
            process.join()
            code = process.exitcode or 0
            self.end()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            return Verdict("dies", fault=f"the process died: {how}")
        return verdict

    @property
    def pid(self) -> int | None:
        """The child's process id, None when there is none now."""
        return None if self._process is None else self._process.pid

    def end(self) -> None:
        """End the child."""
        if self._process is not None and self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.join()
        self._process = self._pipe = None

    def _child(self) -> tuple["Connection[bytes, Verdict]", "multiprocessing.process.BaseProcess"]:
        if self._process is None or self._pipe is None:
            self._pipe, theirs = self._context.Pipe()
            self._process = self._context.Process(
                target=_serve, args=(theirs, self.limit_s), daemon=True
            )
            # Ctrl-C is for the program that asks: the child is born deaf to it, and stays so.
            heard = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, heard)
            theirs.close()
        return self._pipe, self._process


@contextmanager
def decoder(limit_s: float = LIMIT_S) -> Iterator[Decoder]:
    """A child that is ended in the end."""
    child = Decoder(limit_s)
    try:
        yield child
    finally:
        child.end()


def _serve(pipe: "Connection[Verdict, bytes]", limit_s: float) -> None:
    tune_process()  # as the server is
    warnings.simplefilter("ignore")  # of Pillow, about files that are broken on purpose
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            data = pipe.recv()
        except EOFError:
            return
        pipe.send(judge_here(data, limit_s))


def judge_here(data: bytes, limit_s: float = LIMIT_S) -> Verdict:
    """Return what the library makes of a file, in this process."""
    return judge_work(lambda: _cut_out(data), limit_s)


def judge_work(work: Callable[[], str], limit_s: float = LIMIT_S) -> Verdict:
    """Return what comes of some work in this process, the memory of whatever came before apart."""
    # The highest mark is a process's for good, unless it is put back (proc(5), clear_refs).
    OWN_PROCESS.joinpath("clear_refs").write_text("5")
    before, began = _status_bytes("VmRSS"), time.process_time()
    try:
        outcome, fault = work(), ""
    except ImageError as error:
        outcome, fault = type(error).__name__, ""
    except Exception as error:
        outcome, fault = "raises", f"{type(error).__name__}: {error}"
    seconds, grew = time.process_time() - began, _status_bytes("VmHWM") - before
    if not fault and seconds > limit_s:
        fault = f"took {seconds:.1f} s"
    if not fault and grew > LIMIT_BYTES:
        fault = f"took {grew / MIB:.0f} MiB"
    return Verdict(outcome, seconds, grew, fault)


def _cut_out(data: bytes) -> str:
    source = Source(data)
    options = Options(format=FORMATS[len(data) % len(FORMATS)], angle=len(data) % 3 * 45.0)
    if peak_pixels(source, options) > MOST_PIXELS:
        source.photo()
        return "decoded"
    cutout = cut_out(source, options, SteadyMatter())
    assert cutout.data
    return "cut out"


def _status_bytes(name: str) -> int:
    text = OWN_PROCESS.joinpath("status").read_text()
    return int(text.partition(f"{name}:")[2].split(maxsplit=1)[0]) * 1024
