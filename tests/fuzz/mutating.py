"""Feed the library broken pictures for a time, and keep those that it does wrong with."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from decoding import Verdict, decoder
from mutations import mutated
from quoting import shown
from seeds import seeds

REPORT_S = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that the library does wrong with. name: the seed's, with the file's digest."""

    name: str
    data: bytes
    fault: str

    def saved(self, folder: Path) -> Path:
        """Write the file into a folder and return where it lies."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name
        path.write_bytes(self.data)
        return path


def examples(seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield a name and a broken file, for ever; the same for the same seed."""
    names = tuple(seeds())
    for count in range(2**63):
        chance = Random(f"{seed}/{count}")
        name = names[count % len(names)]
        yield name, mutated(seeds()[name], chance)


def mutate(
    seconds: float, seed: int, say: Callable[[str], None], save: Path | None = None
) -> list[Finding]:
    """Judge broken files for so long; tell what is wrong as it is found, and sum up in the end.

    save: the folder that keeps what is found.
    """
    findings: list[Finding] = []
    run = _Run(say)
    end = time.monotonic() + seconds
    try:
        say(f"Judging broken pictures for {seconds / 60:.1f} minutes, seed {seed}.")
        with decoder() as child:
            for name, data in examples(seed):
                verdict = child.judge(data)
                run.note(verdict)
                if verdict.fault:
                    digest = hashlib.sha256(data).hexdigest()[:12]
                    findings.append(Finding(f"{digest}-{name}", data, verdict.fault))
                    say(f"FOUND {_kept(findings[-1], save)}: {verdict.fault}")
                if time.monotonic() > end:
                    break
    except KeyboardInterrupt:
        say("Stopping…")
        raise
    finally:
        say(f"{run.summary()}, {len(findings)} findings")
    return findings


def _kept(finding: Finding, save: Path | None) -> str:
    """Save a finding and return where it lies: its name when it is not to be saved, or cannot."""
    if save is None:
        return finding.name
    try:
        return shown(finding.saved(save))
    except OSError as error:
        return f"{finding.name} (not saved: {error.strerror})"


@dataclass(slots=True)
class _Run:
    """What came of the files so far; told every half a minute."""

    say: Callable[[str], None]
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    told: float = field(default_factory=time.monotonic)

    def note(self, verdict: Verdict) -> None:
        self.outcomes[verdict.outcome] += 1
        self.slowest_s = max(self.slowest_s, verdict.seconds)
        if time.monotonic() > self.told + REPORT_S:
            self.told = time.monotonic()
            self.say(self.summary())

    def summary(self) -> str:
        counts = (f"{count} {outcome}" for outcome, count in self.outcomes.most_common())
        files = self.outcomes.total()
        return ", ".join((f"{files} files", *counts, f"slowest {self.slowest_s:.1f} s"))
