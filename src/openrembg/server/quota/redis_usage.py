"""Usage in Redis, under the keys that the API contract names: a copy that anybody may read.

The database is the truth. What it says of a user is written after each commit, all of it at once
and never over something newer. Who reads compares with the account that the request has loaded:
a copy that is older, or not whole, is written anew first. Redis away: the database answers.
"""

import datetime as dt
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any, Final, cast

from django.conf import settings
from django.db.models import QuerySet
from redis import Redis

from openrembg.server.breaker import Breaker
from openrembg.server.quota import usage_keys as keys
from openrembg.server.quota.models import Balance
from openrembg.server.quota.redis_pool import FAILURES, redis_pool
from openrembg.server.quota.usage import (
    Month,
    Standing,
    Usage,
    month_at,
    standing_of,
    usage_of,
    usages_of,
)

# So many users are written at once by those who write all of them, and have so long for it.
CHUNK: Final = 100
CHUNK_TIMEOUT_S: Final = 10.0

# KEYS: the index of billing periods, then what is read as it is, the known windows first of all.
# ARGV: what the names of both counters begin with, then windows that are asked for.
_READ: Final = f"""
local values = redis.call('MGET', unpack(KEYS, 2))
local words, noted = {{}}, {{}}
local function note(word)
  if not noted[word] then
    noted[word] = true
    words[#words + 1] = word
  end
end
for i = 3, #ARGV do note(ARGV[i]) end
for word in string.gmatch(values[1] or '', '([^;%s]+)%S*') do note(word) end
local starts = redis.pcall('ZREVRANGE', KEYS[1], 0, {keys.MAX_CYCLES - 1})
for _, start in ipairs(starts) do note('cycle:' .. start) end
local counted = {{}}
for first = 1, #words, 1000 do
  local names = {{}}
  for i = first, math.min(first + 999, #words) do
    names[#names + 1] = ARGV[1] .. words[i]
    names[#names + 1] = ARGV[2] .. words[i]
  end
  for _, value in ipairs(redis.call('MGET', unpack(names))) do counted[#counted + 1] = value end
end
return {{values, words, counted}}
"""

# KEYS: the version, the known windows, then what is written and, beyond the values, deleted.
# ARGV: the version of the values, the one that may be replaced whatever it is, what the names of
# both counters begin with, then the values. What is replaced may tell of windows that the database
# has not: it was restored to an earlier state. Their counters, which we wrote, are deleted.
_WRITE: Final = """
local stored, known = unpack(redis.call('MGET', KEYS[1], KEYS[2]))
if stored and stored ~= ARGV[2] and #stored < 16 and string.find(stored, '^%d+$')
    and tonumber(stored) > tonumber(ARGV[1]) then
  return 0
end
if stored == ARGV[2] then
  for text in string.gmatch(known or '', '%S+') do
    local word = string.match(text, '^[^;]+')
    if word and (word == text or string.sub(text, -2) == ';1') then
      redis.call('DEL', ARGV[3] .. word, ARGV[4] .. word)
    end
  end
end
for i = 2, #KEYS do
  if ARGV[i + 3] then redis.call('SET', KEYS[i], ARGV[i + 3]) else redis.call('DEL', KEYS[i]) end
end
return 1
"""


class RedisUnusable(Exception):
    """All users cannot be written into Redis; the message is a sentence for the operator."""


class SharedUsage:
    """The copy in one Redis."""

    def __init__(self, redis_url: str, breaker: Breaker | None = None) -> None:
        self._client = Redis.from_pool(redis_pool(redis_url))
        self._patient = Redis.from_pool(redis_pool(redis_url, CHUNK_TIMEOUT_S))
        self._breaker = breaker or Breaker(
            "Redis does not answer; usage is read from the database and not published",
            "Redis answers again; usage is read from it and published",
        )
        self._read_script = self._client.register_script(_READ)
        self._write_script = self._client.register_script(_WRITE)

    @property
    def is_away(self) -> bool:
        """Whether Redis failed when it was last asked."""
        return self._breaker.is_away

    def usage(self, user_id: int, standing: Standing, asked: Collection[str]) -> Usage | None:
        """Return what a user has and has used, the windows asked for included; None: gone.

        standing: what the database has just said.
        """
        if not self._breaker.may_ask():
            return usage_of(user_id)
        try:
            usage = self._usage(user_id, standing, asked)
        except FAILURES as error:
            self._breaker.failed(error)
            return usage_of(user_id)
        self._breaker.worked()
        return usage

    def publish(self, user_id: int) -> bool:
        """Write what the database says of a user; return False when Redis is away."""
        if not self._breaker.may_ask():
            return False
        try:
            self._publish(user_id)
        except FAILURES as error:
            self._breaker.failed(error)
            return False
        self._breaker.worked()
        return True

    def republish(self, balances: QuerySet[Balance]) -> None:
        """Write some users; Redis away: each when somebody asks for them."""
        if self._breaker.is_away:
            return
        try:
            self.rewrite(balances)
        except FAILURES as error:
            self._breaker.failed(error)

    def empty(self) -> None:
        """Delete all that the Redis database has, others' keys too. Raises one of FAILURES."""
        self._patient.flushdb()

    def rewrite(self, balances: QuerySet[Balance]) -> int:
        """Write some users whatever stands there, and return how many. Raises one of FAILURES."""
        self._patient.ping()  # Without a single user it has to answer too.
        return sum(self.rewriting(balances))

    def rewriting(self, balances: QuerySet[Balance]) -> Iterator[int]:
        """Write some users whatever stands there, some at a time, and yield how many each time."""
        for chunk in _chunks(balances):
            yield self._rewrite(chunk)

    def _usage(self, user_id: int, standing: Standing, asked: Collection[str]) -> Usage | None:
        copy, version = self._fetch(user_id, asked)
        if copy is not None and copy.standing == standing:
            return copy
        # The version was published before the database is read now: one that is newer even so
        # comes from a database that was put back, or from somebody else.
        usage = usage_of(user_id)
        if usage is None:
            return None
        self._write(user_id, usage, version)
        copy, _ = self._fetch(user_id, asked)
        return usage if copy is None or copy.standing.version < usage.standing.version else copy

    def _fetch(self, user_id: int, asked: Collection[str]) -> tuple[Usage | None, bytes]:
        """Return the copy, None unless it is whole, and the version as it is written."""
        names = (keys.index(user_id), *keys.fixed(user_id))
        values, words, counted = self._read_script(names, (*keys.counters(user_id), *asked))
        try:
            return keys.read(values, words, counted), values[1] or b""
        except keys.Unreadable:
            return None, values[1] or b""

    def _publish(self, user_id: int) -> None:
        usage = usage_of(user_id)
        if usage is None:
            self._forget(user_id)
        else:
            self._write(user_id, usage)

    def _write(self, user_id: int, usage: Usage, replaces: bytes = b"", client: Any = None) -> None:
        texts = dict(keys.written(user_id, usage))
        kept = {name: text for name, text in texts.items() if text is not None}
        names = (keys.version(user_id), *kept, *(texts.keys() - kept.keys()))
        before = (usage.standing.version, replaces, *keys.counters(user_id))
        self._write_script(names, (*before, *kept.values()), client=client)

    def _forget(self, user_id: int) -> None:
        """Delete what was written of a user; counters that other tools wrote are theirs."""
        fixed = keys.fixed(user_id)
        known: bytes | None = cast(Any, self._client).mget(fixed[:1])[0]
        self._client.delete(keys.index(user_id), *fixed, *keys.counted(user_id, known or b""))

    def _rewrite(self, chunk: list[int]) -> int:
        names = [keys.version(user_id) for user_id in chunk]
        versions: list[bytes | None] = cast(Any, self._patient).mget(names)
        usages = usages_of(chunk)
        with self._patient.pipeline(transaction=False) as pipeline:
            for user_id, version in zip(chunk, versions, strict=True):
                if user_id in usages:
                    self._write(user_id, usages[user_id], version or b"", pipeline)
            pipeline.execute()
        return len(usages)


def present_usage(
    balance: Balance, month: Month, start: int | None, now: dt.datetime
) -> Usage | None:
    """Return what an account has and has used; None for one that is gone.

    balance: as the request has loaded it, with its plan. month, start: the calendar month and the
    billing period that are asked for.
    """
    shared = shared_usage()
    if shared is None:
        return usage_of(balance.pk)
    asked = {keys.month_word(month), keys.month_word(month_at(now))}
    asked |= set() if start is None else {keys.cycle_word(start)}
    return shared.usage(balance.pk, standing_of(balance), asked)


def publish(user_id: int) -> bool:
    """Write what the user has into Redis; return False when it could not be written."""
    shared = shared_usage()
    return shared is None or shared.publish(user_id)


def publish_plan(plan_id: int) -> None:
    """Write what the users of a plan have into Redis."""
    shared = shared_usage()
    if shared is not None:
        shared.republish(Balance.objects.filter(plan=plan_id))


def rebuild_all(*, empties: bool = False) -> int:
    """Write every user into Redis, whatever stands there; return how many there are.

    Counters that other tools wrote stay. empties: nothing stays. Raises RedisUnusable.
    """
    shared = shared_usage()
    if shared is None:
        raise RedisUnusable("There is no Redis to write to: REDIS_URL is not set.")
    try:
        if empties:
            shared.empty()
        return shared.rewrite(Balance.objects.all())
    except FAILURES as error:
        # The class alone: the message may hold the address, and that a password.
        raise RedisUnusable(f"Redis does not answer ({type(error).__name__}).") from error


def shared_usage() -> SharedUsage | None:
    """Return this process's way to the copy, None without a Redis."""
    redis_url = settings.OPENREMBG.redis_url
    return None if redis_url is None else _shared_usage(redis_url)


@lru_cache(maxsize=8)
def _shared_usage(redis_url: str) -> SharedUsage:
    return SharedUsage(redis_url)


def _chunks(balances: QuerySet[Balance]) -> Iterator[list[int]]:
    """Yield the users' numbers in order; no query stays open meanwhile."""
    users, last = balances.order_by("pk").values_list("pk", flat=True), 0
    while chunk := list(users.filter(pk__gt=last)[:CHUNK]):
        yield chunk
        last = chunk[-1]
