"""How usage is written in Redis: the names that the API contract promises, and a few of our own.

The contract's keys hold decimal strings; anybody may read them, and other tools may add counters
of billing periods. Ours begin with `openrembg:usage:`:

    version:{uid}   number of the ledger's last entry that the user's keys tell of
    known:{uid}     the windows that the database has counters or facts of, as words
    next_end:{uid}  end of the billing period after the one that Stripe last told, if any
    cycles:{uid}    starts of billing periods that some counter was found for, whoever wrote it
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from openrembg.server.quota.usage import Cycle, Month, Standing, Usage, Used

PRIVATE: Final = "openrembg:usage:"
MAX_CYCLES: Final = 1000
# An empty text is no list of windows: somebody else wrote it.
KNOWN: Final = ";"

_MONTH = re.compile(r"([0-9]{1,4}):([0-9]{1,2})", re.ASCII)
_CYCLE = re.compile(r"cycle:(0|[1-9][0-9]{0,9})", re.ASCII)
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,17}")

Value = bytes | None


class Unreadable(Exception):
    """Redis does not hold what was written there, or not all of it."""


def fixed(user_id: int) -> tuple[str, ...]:
    """Return the names of what a user has, in the order in which `written` and `read` go."""
    return (
        f"{PRIVATE}known:{user_id}",
        f"{PRIVATE}version:{user_id}",
        f"user:{user_id}:membership",
        f"user:{user_id}:credits",
        f"user:{user_id}:prepaid_credits",
        f"user:{user_id}:billing_period_start",
        f"user:{user_id}:billing_period_end",
        f"{PRIVATE}next_end:{user_id}",
    )


def version(user_id: int) -> str:
    """Return the name of the version."""
    return f"{PRIVATE}version:{user_id}"


def index(user_id: int | str) -> str:
    """Return the name of the index of billing periods: a sorted set, by start."""
    return f"{PRIVATE}cycles:{user_id}"


def counters(user_id: int) -> tuple[str, str]:
    """Return what the names of both counters of a window begin with."""
    return f"user:{user_id}:app_usage:", f"user:{user_id}:api_usage:"


def month_word(month: Month) -> str:
    """Return how a calendar month ends a counter's name."""
    return f"{month[0]}:{month[1]}"


def cycle_word(start: int) -> str:
    """Return how a billing period ends a counter's name."""
    return f"cycle:{start}"


def written(user_id: int, usage: Usage) -> Iterator[tuple[str, str | None]]:
    """Yield each key and its text, None for one that must not be there."""
    standing = usage.standing
    period = standing.period_start, standing.period_end, standing.next_end
    numbers = map(_text, (standing.credits, standing.prepaid, *period))
    texts = (_known(usage), str(standing.version), standing.membership, *numbers)
    yield from zip(fixed(user_id), texts, strict=True)
    app, api = counters(user_id)
    for word, used in _windows(usage):
        if used is not None:
            yield app + word, str(used.app)
            yield api + word, str(used.api)


def counted(user_id: int, known: bytes) -> Iterator[str]:
    """Yield the names of the counters of the known windows."""
    for text in _decoded(known).split()[1:]:
        word = text.partition(";")[0]
        yield from (begin + word for begin in counters(user_id))


def read(values: Sequence[Value], words: Sequence[bytes], counted: Sequence[Value]) -> Usage:
    """Return the usage that the values of `fixed` and of some windows' counters tell.

    words: the windows. counted: app and api of each. Raises Unreadable.
    """
    known, number, membership, *rest = values
    if known is None or membership is None:
        raise Unreadable
    credits_, prepaid = map(_number, rest[:2])
    period = (None if value is None else _number(value) for value in rest[2:])
    standing = Standing(_number(number), _decoded(membership), credits_, prepaid, *period)
    found = {
        _decoded(word): pair for word, *pair in zip(words, counted[::2], counted[1::2], strict=True)
    }
    usage = Usage(standing, {}, {})
    mark, *texts = _decoded(known).split() or ("",)
    if mark != KNOWN:
        raise Unreadable
    for text in texts:
        _add_known(usage, text, found)
    for word, pair in found.items():
        _add_foreign(usage, word, pair)
    return usage


def _windows(usage: Usage) -> Iterator[tuple[str, Used | None]]:
    for month, used in usage.months.items():
        yield month_word(month), used
    for start, cycle in usage.cycles.items():
        yield cycle_word(start), cycle.used


def _known(usage: Usage) -> str:
    """Write months as they are, and cycles as `cycle:start;end;credits;synced;counted`."""
    words = [KNOWN, *(month_word(month) for month in usage.months)]
    for start, cycle in usage.cycles.items():
        facts = (cycle.end, cycle.credits, int(cycle.synced), int(cycle.used is not None))
        words.append(";".join((cycle_word(start), *(_text(fact) or "" for fact in facts))))
    return " ".join(words)


def _add_known(usage: Usage, text: str, found: dict[str, list[Value]]) -> None:
    word, *facts = text.split(";")
    pair = found.pop(word, None)
    if pair is None:
        raise Unreadable
    month, cycle = _MONTH.fullmatch(word), _CYCLE.fullmatch(word)
    if month and not facts:
        usage.months[int(month[1]), int(month[2])] = _both(pair)
    elif cycle and len(facts) == 4:
        end, credits_, synced, is_counted = (_fact(fact) for fact in facts)
        used = _both(pair) if is_counted else _either(pair)
        usage.cycles[int(cycle[1])] = Cycle(end, credits_, bool(synced), used)
    else:
        raise Unreadable


def _add_foreign(usage: Usage, word: str, pair: list[Value]) -> None:
    """Add a window whose counters another tool wrote, or nobody."""
    used = _either(pair)
    month, cycle = _MONTH.fullmatch(word), _CYCLE.fullmatch(word)
    if used is not None and month:
        usage.months[int(month[1]), int(month[2])] = used
    if used is not None and cycle:
        usage.cycles[int(cycle[1])] = Cycle(used=used)


def _both(pair: list[Value]) -> Used:
    app, api = pair
    return Used(_number(app), _number(api))


def _either(pair: list[Value]) -> Used | None:
    """Return what is there and is a number; other tools may write one counter alone."""
    numbers = [int(value) if value and _NUMBER.fullmatch(value) else None for value in pair]
    if numbers == [None, None]:
        return None
    return Used(*(number or 0 for number in numbers))


def _number(value: Value) -> int:
    if value is None or _NUMBER.fullmatch(value) is None:
        raise Unreadable
    return int(value)


def _fact(text: str) -> int | None:
    return _number(text.encode()) if text else None


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "replace")
