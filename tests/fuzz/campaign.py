"""Post a whole corpus to a server: progress, findings, and whether the credits add up."""

import itertools
import shutil
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final

from corpus import Corpus
from own_server import OwnServer
from posting import DECLARED, Declared, OutOfCredits, Posted, Target, Unreadable, post_as
from quoting import shown

from services import NotStarted

GIB: Final = 1024**3
PROGRESS_S: Final = 5.0
MOST_REFUSALS: Final = 3
LOG_LINES: Final = 20

Request = tuple[Path, Declared]


class Stopped(Exception):
    """The server cannot be asked any more; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer may take. bytes_: the most that the server's processes may hold."""

    seconds: float = 10.0
    bytes_: int = 3 * GIB // 2
    jobs: int = 1


@dataclass(slots=True)
class Campaign:
    """One run over a corpus. own: the server when it is ours; it is watched and started again."""

    target: Target
    limits: Limits
    own: OwnServer | None = None
    save: Path | None = None
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)
    statuses: Counter[int] = field(default_factory=Counter)
    findings: int = 0
    charged: int = 0
    passed_over: set[Path] = field(default_factory=set)
    credits_told: str = "not compared"
    peak_bytes: int = 0
    heaviest: Path | None = None
    slowest: Posted | None = None
    _total: int = 0
    _refusals: int = 0
    _lost: int = 0
    _told: float = field(default_factory=time.monotonic)
    _told_to_wait: bool = False
    _requests: deque[Request] = field(default_factory=deque)
    _under_way: int = 0
    _results: SimpleQueue[Posted | tuple[Path, Exception]] = field(default_factory=SimpleQueue)

    def run(self, corpus: Corpus) -> None:
        """Post every file in every declared format, so many at once. Raises Stopped."""
        for path, why in corpus.passed_over:
            self._pass_over(path, why)
        self._requests.extend(itertools.product(corpus.files, DECLARED))
        self._total = len(self._requests)
        while self._requests or self._under_way:
            while self._requests and self._under_way < self.limits.jobs:
                self._begin(*self._requests.popleft())
            posted = self._next()
            if posted is None:
                continue
            if self.own is not None and self.own.has_died(after_silence=not posted.status):
                self._bury(self.own, posted)
            else:
                self._note(posted)

    def _begin(self, path: Path, declared: Declared) -> None:
        self._under_way += 1
        # As a daemon it keeps nobody who wants to stop waiting for its answer.
        Thread(target=self._post, args=(path, declared), daemon=True).start()

    def _post(self, path: Path, declared: Declared) -> None:
        try:
            result = post_as(self.target, path, declared, self.limits.seconds, self._wait)
        except Exception as error:
            self._results.put((path, error))
        else:
            self._results.put(result)

    def _wait(self, seconds: float) -> None:
        if not self._told_to_wait:
            self._told_to_wait = True
            self.say(
                f"The server says 429, too many requests: waiting {seconds:.0f} s, as it asks, "
                "now and each time that it says so. This will take a while."
            )

    def _next(self) -> Posted | None:
        """Return what came of the next request that ends, None when its file is gone."""
        result = self._results.get()
        self._under_way -= 1
        if isinstance(result, Posted):
            return result
        path, error = result
        if isinstance(error, OutOfCredits):
            raise Stopped(f"The server lets this member post no more for now: {error}.")
        if not isinstance(error, Unreadable):
            raise error
        self._total -= 1
        self._pass_over(path, str(error))
        return None

    def _pass_over(self, path: Path, why: str) -> None:
        if path not in self.passed_over:
            self.passed_over.add(path)
            self.say(f"passed over {shown(path)}: {why}")

    def _note(self, posted: Posted) -> None:
        self._count(posted)
        faults = [*posted.faults, *self._memory_faults(posted.path)]
        if faults:
            self._found(posted, faults)
        self._refusals = self._refusals + 1 if posted.refused else 0
        if self._refusals == MOST_REFUSALS:
            raise Stopped(
                f"{self.target.url} refused {MOST_REFUSALS} connections in a row: is it gone?"
            )
        if time.monotonic() > self._told + PROGRESS_S:
            self._told = time.monotonic()
            done = self.statuses.total()
            self.say(f"{done} of {self._total} posted, {self.findings} findings")

    def _count(self, posted: Posted) -> None:
        self.statuses[posted.status] += 1
        self.charged += posted.charged
        if self.slowest is None or posted.seconds > self.slowest.seconds:
            self.slowest = posted

    def _bury(self, own: OwnServer, posted: Posted) -> None:
        """Blame a file for our server's death, start it again, and post anew what else was lost."""
        ended = [posted]
        while self._under_way:
            if (other := self._next()) is not None:
                ended.append(other)
        lost = [each for each in ended if not each.status] or ended[:1]
        self._lost += len(lost)
        self._requests.extendleft((each.path, each.declared) for each in lost[1:])
        self._count(lost[0])
        others = f", and {len(lost) - 1} more were under way" if lost[1:] else ""
        died = f"the server died: {own.service.process.returncode}{others}"
        self._found(lost[0], [*lost[0].faults, died])
        self.say(last_lines(own.service.text(), 5))
        for each in ended:
            if each not in lost:
                self._note(each)
        try:
            own.start_again()
        except NotStarted as error:
            raise Stopped(f"Our server does not start again. {last_lines(str(error))}") from error
        self.say("Our server is started again.")

    def _memory_faults(self, path: Path) -> list[str]:
        """Return what our server holds too much. Of several files at once, the last is blamed."""
        if self.own is None:
            return []
        try:
            peak = self.own.service.peak_bytes
            if peak > self.peak_bytes:
                self.peak_bytes, self.heaviest = peak, path
            if peak > self.limits.bytes_:
                self.own.service.forget_peak()
                return [f"the server held {peak / GIB:.2f} GiB"]
        except OSError:  # it died this moment: the next request tells
            return []
        return []

    def _found(self, posted: Posted, faults: list[str]) -> None:
        self.findings += 1
        url = self.target.url if self.own is None else "http://127.0.0.1:8000"
        self.say(f"FOUND {shown(posted.path)}: {'; '.join(faults)}\n  {posted.curl(url)}")
        if self.save is None:
            return
        try:
            shutil.copyfile(posted.path, self.save / f"{self.findings:04}-{posted.path.name}")
        except OSError as error:
            self.say(f"cannot be saved to {shown(self.save)}: {error.strerror}")

    def check_credits(self, before: dict[str, int], after: dict[str, int]) -> None:
        """Compare the counters of membership-usage with what the answers said.

        What our server was killed over may have cost a credit or none: nobody heard which.
        """
        moved = credits_moved(before, after)
        self.credits_told = f"{moved} moved"
        if not self.charged <= moved <= self.charged + self._lost:
            self.complain(f"{moved} credits moved, the answers say {self.charged}")

    def complain(self, fault: str) -> None:
        """Count what is wrong with the whole rather than with one file."""
        self.findings += 1
        self.say(f"FOUND {fault}")

    def table(self, files: int) -> str:
        """Return the end of the story in a few lines."""
        answers = ", ".join(
            f"{count} × {status or 'none'}" for status, count in sorted(self.statuses.items())
        )
        rows = [("files", str(files)), ("answers", answers or "none")]
        if self.passed_over:
            rows.append(("passed over", str(len(self.passed_over))))
        if self.slowest is not None:
            rows.append(("slowest", f"{self.slowest.seconds:.2f} s  {shown(self.slowest.path)}"))
        if self.heaviest is not None:
            rows.append(("most memory", f"{self.peak_bytes / GIB:.2f} GiB  {shown(self.heaviest)}"))
        rows += [("credits", f"{self.charged} charged, {self.credits_told}")]
        rows += [("findings", str(self.findings))]
        return "\n".join(f"{name:<12} {value}" for name, value in rows)


def credits_moved(before: dict[str, int], after: dict[str, int]) -> int:
    """Return how many credits went between two looks at membership-usage, of either kind."""
    used = sum(after[name] - before[name] for name in ("app_usage", "api_usage"))
    return used + before["prepaidCredits"] - after["prepaidCredits"]


def last_lines(text: str, count: int = LOG_LINES) -> str:
    """Return the end of a log."""
    return "\n".join(text.rstrip().splitlines()[-count:])
