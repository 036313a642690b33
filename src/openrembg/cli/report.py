"""What a run says at its end: how it went, what failed and why."""

from typing import Final

from openrembg.cli.batch import Outcome, failure_line
from openrembg.cli.inputs import Failure
from openrembg.cli.task import Task
from openrembg.cli.terminal import FAILED, OK, say, shown

NOTES: Final = 20


def report(task: Task, outcomes: list[Outcome], missing: tuple[Failure, ...]) -> int:
    """Say how it went, what failed and why, and return the exit code."""
    failures = [*missing, *(item.failure for item in outcomes if item.state == "failed")]
    if len(outcomes) == 1:
        say_outcome(task, outcomes[0])
        failures = list(missing)
    elif not task.quiet:
        _say_counts(outcomes, failures)
    for failure in sorted(failures, key=lambda failure: failure.name):
        say(failure_line(failure))
    return FAILED if missing or any(item.state == "failed" for item in outcomes) else OK


def say_outcome(task: Task, outcome: Outcome) -> None:
    """Say in one line what became of one photo."""
    source, target = shown(outcome.job.source), shown(outcome.job.target)
    if outcome.state == "failed":
        return say(failure_line(outcome.failure))
    if task.quiet:
        return None
    if outcome.state == "skipped":
        return say(f"skipped: {target} is there already (--overwrite replaces it)")
    return say(f"{source} -> {target}{outcome.note and f' ({outcome.note.lower()})'}")


def _say_counts(outcomes: list[Outcome], failures: list[Failure]) -> None:
    done = sum(item.state == "done" for item in outcomes)
    skipped = sum(item.state == "skipped" for item in outcomes)
    parts = [f"{done} cut out"]
    if skipped:
        parts.append(f"{skipped} skipped, there already (--overwrite replaces them)")
    if failures:
        parts.append(f"{len(failures)} failed")
    say(", ".join(parts) + ".")
    noted = [item for item in outcomes if item.state == "done" and item.note]
    for item in noted[:NOTES]:
        say(f"{shown(item.job.source)}: {item.note}.")
    if len(noted) > NOTES:
        say(f"{noted[0].note} in {len(noted) - NOTES} more.")
