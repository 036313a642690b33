"""What a run says at its end: how it went, what failed and why."""

from typing import Final

from openrembg.cli.batch import Outcome, Processed, failure_line
from openrembg.cli.inputs import Failure
from openrembg.cli.task import Task
from openrembg.cli.terminal import FAILED, OK, say, shown

NOTES: Final = 20


def report(task: Task, processed: Processed, missing: tuple[Failure, ...]) -> int:
    """Say how it went, what failed and why, and return the exit code."""
    outcomes = processed.outcomes
    failed = [item for item in outcomes if item.state == "failed"]
    if len(outcomes) == 1:
        say_outcome(task, outcomes[0])
        listed = list(missing)
    else:
        stopped = processed.stopped
        listed = [*missing, *(item.failure for item in failed if item not in stopped)]
        if not task.quiet:
            _say_counts(outcomes, len(missing) + len(failed))
    for failure in sorted(listed, key=lambda failure: failure.name):
        say(failure_line(failure))
    if processed.stop and len(outcomes) > 1:
        say_stop(processed)
    return FAILED if missing or failed or processed.stop else OK


def say_stop(processed: Processed) -> None:
    """Say once what ended the run early, and how many photos were not sent."""
    assert processed.stop is not None  # noqa: S101 (callers ask first)
    sentence = f"Stopped: {processed.stop.reason}"
    if len(processed.stopped) > 1:
        sentence += f" ({len(processed.stopped)} photos)"
    unsent = len(processed.unsent)
    if unsent:
        sentence += f". {unsent} {'photo was' if unsent == 1 else 'photos were'} not sent"
    say(f"{sentence}.")


def say_outcome(task: Task, outcome: Outcome) -> None:
    """Say in one line what became of one photo."""
    source, target = shown(outcome.job.source), shown(outcome.job.target)
    if outcome.state == "failed":
        paid = f" ({_credits(outcome.credits)})" if outcome.credits else ""
        return say(failure_line(outcome.failure) + paid)
    if task.quiet:
        return None
    if outcome.state == "skipped":
        return say(f"skipped: {target} is there already (--overwrite replaces it)")
    notes = [outcome.note.lower()] if outcome.note else []
    if outcome.credits is not None:
        notes.append(_credits(outcome.credits))
    return say(f"{source} -> {target}" + (f" ({', '.join(notes)})" if notes else ""))


def _credits(count: int) -> str:
    return f"{count} credit{'' if count == 1 else 's'}"


def _say_counts(outcomes: list[Outcome], failures: int) -> None:
    done = sum(item.state == "done" for item in outcomes)
    skipped = sum(item.state == "skipped" for item in outcomes)
    parts = [f"{done} cut out"]
    if skipped:
        parts.append(f"{skipped} skipped, there already (--overwrite replaces them)")
    if failures:
        parts.append(f"{failures} failed")
    paid = [item.credits for item in outcomes if item.credits is not None]
    say(", ".join(parts) + "." + (f" {_credits(sum(paid))} used." if paid else ""))
    noted = [item for item in outcomes if item.state == "done" and item.note]
    for item in noted[:NOTES]:
        say(f"{shown(item.job.source)}: {item.note}.")
    if len(noted) > NOTES:
        say(f"{noted[0].note} in {len(noted) - NOTES} more.")
