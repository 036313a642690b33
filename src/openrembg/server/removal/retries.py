"""Idempotency-Key: a retry gets the bytes of the first answer, and costs nothing.

Answers are kept in the database for a day, for each user. The first of many requests at once does
the work, the others wait for its answer. Whatever fails is forgotten, so that a retry tries again,
and so is what cost nothing. Of answers that are too large, alone or with the user's others, only
the fact is kept: the retry brings the same picture and is computed again, for nothing.

Source: the IETF draft idempotency-key-header.
"""

import datetime as dt
import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db import Error, IntegrityError
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from openrembg.server.accounts.asking import Anonymous, Member
from openrembg.server.database import give_back_connection
from openrembg.server.errors import (
    ClientGone,
    IdempotencyKeyTooLong,
    OtherPayload,
    StillRunning,
)
from openrembg.server.quota import receipts
from openrembg.server.quota.counters import Source
from openrembg.server.removal.form import Form
from openrembg.server.removal.models import MAX_IDEMPOTENCY_KEY, StoredAnswer
from openrembg.server.removal.schemas import ORDER
from openrembg.server.removal.waiters import one_more
from openrembg.server.removal.work import body_came, client_gone, form_of, waiting

KEPT_FOR: Final = dt.timedelta(hours=24)
WAIT_S: Final = 30.0
LOOK_AFTER_S: Final = 0.02
# Each look waits half as long again as the one before: a third of the time that it waited anyway.
LOOK_AT_LEAST_EVERY_S: Final = 1.0
MIB: Final = 1024 * 1024
# A larger answer is computed again for a retry.
MAX_KEPT_BYTES: Final = 16 * MIB
REPLAYED: Final = "Idempotent-Replayed"


@dataclass(frozen=True, slots=True)
class Place:
    """Where this request's answer will be kept."""

    user_id: int
    key: str
    fingerprint: str
    claim: uuid.UUID

    def keep(self, answer: HttpResponse) -> None:
        """Keep the answer. Raises StillRunning when another took the place over."""
        body = answer.content if self._has_room(len(answer.content)) else None
        facts = {
            "headers": dict(answer.headers.items()),
            "body": body,
            "size": len(body or b""),
            "expires_at": timezone.now() + KEPT_FOR,
        }
        if StoredAnswer.objects.filter(claim=self.claim).update(**facts):
            return
        # It was cleared away as a dead server's, or another took it.
        same = {"user_id": self.user_id, "key": self.key, "fingerprint": self.fingerprint}
        row = StoredAnswer(claim=self.claim, **same, **facts)
        StoredAnswer.objects.bulk_create([row], ignore_conflicts=True)
        if not StoredAnswer.objects.filter(claim=self.claim).exists():
            raise StillRunning

    def free(self) -> None:
        """Let the next request with the key begin anew, unless an answer is kept.

        When the database is away: as soon as it is back.
        """
        place = StoredAnswer.objects.filter(claim=self.claim, headers__isnull=True)
        try:
            place.delete()
        except Error:
            desk = receipts.running()
            if desk is not None:  # Else it frees itself after a while.
                desk.failed(place.delete)

    def _has_room(self, size: int) -> bool:
        most = settings.OPENREMBG.kept_answers_mb * MIB
        if size > min(most, MAX_KEPT_BYTES):
            return False
        kept = StoredAnswer.objects.filter(user_id=self.user_id).aggregate(Sum("size"))
        return (kept["size__sum"] or 0) + size <= most


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under an Idempotency-Key, or under none.

    answer: that of an earlier request, when this one is its retry. paid_from: it is a retry whose
    answer has to be computed again, and this is what paid for it. place: None where no answer is to
    be kept.
    """

    answer: HttpResponse | None = None
    paid_from: Source | None = None
    place: Place | None = None

    def keep(self, answer: HttpResponse, *, costs: bool) -> None:
        """Keep an answer that cost a credit. Raises StillRunning when another took the place."""
        if self.paid_from is not None:
            _mark_as_replay(answer)
        elif self.place is not None and costs:
            self.place.keep(answer)
        elif self.place is not None:
            self.place.free()


@contextmanager
def attempt(request: HttpRequest, caller: Anonymous | Member) -> Iterator[Attempt]:
    """Yield the request's attempt; whatever the block raises frees its place.

    Raises IdempotencyKeyTooLong, OtherPayload for a key that stood for something else, StillRunning
    when the first request's answer did not come in time or too many wait for one.
    """
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key or isinstance(caller, Anonymous) or not body_came(request):
        yield Attempt()
        return
    if len(key) > MAX_IDEMPOTENCY_KEY:
        raise IdempotencyKeyTooLong
    mine = _enter(request, caller.payer.user_id, key)
    try:
        yield mine
    except BaseException:
        if mine.place is not None:
            mine.place.free()
        raise


def fingerprint(form: Form) -> str:
    """Return the digest of what a form asks for, however its parts are ordered and delimited."""
    image = None
    if form.image is not None:
        image = [form.image.filename, form.image.sha256()]
    asked = {name: form.fields[name] for name in ORDER if form.fields.get(name)}
    text = json.dumps([image, asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def forget_expired(now: dt.datetime) -> int:
    """Delete the answers that were kept long enough; return how many there were."""
    return StoredAnswer.objects.filter(expires_at__lte=now).delete()[0]


def _enter(request: HttpRequest, user_id: int, key: str) -> Attempt:
    """Return the earlier answer, or the place for this request's; wait while another works."""
    asked = fingerprint(form_of(request))
    found = _try_to_enter(user_id, key, asked)
    if found is not None:
        return found
    with one_more(user_id), waiting(request):
        return _wait_to_enter(user_id, key, asked, client_gone(request))


def _wait_to_enter(user_id: int, key: str, asked: str, gone: Callable[[], bool] | None) -> Attempt:
    until, pause_s = time.monotonic() + WAIT_S, LOOK_AFTER_S
    while time.monotonic() < until:
        give_back_connection()
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LOOK_AT_LEAST_EVERY_S)
        if gone is not None and gone():
            raise ClientGone("left while it waited for the first answer")
        found = _try_to_enter(user_id, key, asked)
        if found is not None:
            return found
    raise StillRunning


def _try_to_enter(user_id: int, key: str, asked: str) -> Attempt | None:
    now = timezone.now()
    rows = StoredAnswer.objects.filter(user_id=user_id, key=key)
    row = rows.defer("body").first()
    if row is None:
        return _claim_new(user_id, key, asked, now)
    if row.expires_at <= now:
        return _claim_old(row, asked, now)
    if row.fingerprint != asked:
        raise OtherPayload
    if row.headers is None:
        return None
    if row.size == 0:
        return Attempt(paid_from=row.headers["X-Credits-Source"])
    return Attempt(_replay(row))


def _claim_new(user_id: int, key: str, asked: str, now: dt.datetime) -> Attempt | None:
    place = Place(user_id, key, asked, uuid.uuid4())
    try:
        StoredAnswer.objects.create(
            user_id=user_id,
            key=key,
            fingerprint=asked,
            claim=place.claim,
            expires_at=_abandoned_at(now),
        )
    except IntegrityError:
        return None
    return Attempt(place=place)


def _claim_old(row: StoredAnswer, asked: str, now: dt.datetime) -> Attempt | None:
    """Take over the place of a server that died, or of an answer that is too old."""
    place = Place(row.user_id, row.key, asked, uuid.uuid4())
    old = StoredAnswer.objects.filter(pk=row.pk, claim=row.claim, expires_at__lte=now)
    taken = old.update(
        fingerprint=asked,
        claim=place.claim,
        headers=None,
        body=None,
        size=0,
        expires_at=_abandoned_at(now),
    )
    return Attempt(place=place) if taken else None


def _abandoned_at(now: dt.datetime) -> dt.datetime:
    """Return from when on nobody is believed to be working: after the longest wait for a slot."""
    chosen = settings.OPENREMBG
    return now + dt.timedelta(seconds=chosen.queue_timeout_s + chosen.request_timeout_s)


def _replay(row: StoredAnswer) -> HttpResponse:
    headers: dict[str, Any] = dict(row.headers)
    media_type = headers.pop("Content-Type")
    answer = HttpResponse(bytes(row.body or b""), content_type=media_type, headers=headers)
    _mark_as_replay(answer)
    return answer


def _mark_as_replay(answer: HttpResponse) -> None:
    answer.headers["X-Credits-Charged"] = "0"
    answer.headers[REPLAYED] = "true"
