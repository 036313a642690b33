"""Idempotency-Key: a retry gets the bytes of the first answer, and costs nothing.

Answers are kept in the database for a day, for each user. The first of many requests at once does
the work, the others wait for its answer. Whatever fails is forgotten, so that a retry tries again.

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
from openrembg.server.removal.form import Form
from openrembg.server.removal.models import MAX_IDEMPOTENCY_KEY, StoredAnswer
from openrembg.server.removal.schemas import ORDER
from openrembg.server.removal.work import body_came, client_gone, form_of

KEPT_FOR: Final = dt.timedelta(hours=24)
WAIT_S: Final = 30.0
LOOK_AFTER_S: Final = 0.02
LOOK_AT_LEAST_EVERY_S: Final = 0.25
REPLAYED: Final = "Idempotent-Replayed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under an Idempotency-Key, or under none.

    answer: that of an earlier request, when this one is its retry. claim: the place where this
    one's answer will be kept, None where none is wanted.
    """

    answer: HttpResponse | None = None
    claim: uuid.UUID | None = None

    def keep(self, answer: HttpResponse) -> None:
        """Keep the answer for retries. Raises StillRunning when another took the place over."""
        if self.claim is None:
            return
        kept = StoredAnswer.objects.filter(claim=self.claim).update(
            headers=dict(answer.headers.items()),
            body=answer.content,
            expires_at=timezone.now() + KEPT_FOR,
        )
        if not kept:
            raise StillRunning

    def forget(self) -> None:
        """Free the place, unless an answer is in it; a database that is away frees it later."""
        if self.claim is None:
            return
        place = StoredAnswer.objects.filter(claim=self.claim, headers__isnull=True)
        try:
            place.delete()
        except Error:
            return


@contextmanager
def attempt(request: HttpRequest, caller: Anonymous | Member) -> Iterator[Attempt]:
    """Yield the request's attempt; whatever the block raises frees its place.

    Raises IdempotencyKeyTooLong, OtherPayload for one that stood for something
    else, StillRunning when the first request's answer did not come in time.
    """
    key = request.headers.get("Idempotency-Key", "").strip()
    if not key or isinstance(caller, Anonymous) or not body_came(request):
        yield Attempt()
        return
    if len(key) > MAX_IDEMPOTENCY_KEY:
        raise IdempotencyKeyTooLong
    mine = _enter(caller.payer.user_id, key, fingerprint(form_of(request)), client_gone(request))
    try:
        yield mine
    except BaseException:
        mine.forget()
        raise


def fingerprint(form: Form) -> str:
    """Return the digest of what a form asks for, however its parts are ordered and delimited."""
    image = None
    if form.image is not None:
        image = [form.image.filename, hashlib.sha256(form.image.read()).hexdigest()]
    asked = {name: form.fields[name] for name in ORDER if form.fields.get(name)}
    text = json.dumps([image, asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def forget_expired(now: dt.datetime) -> int:
    """Delete the answers that were kept long enough; return how many there were."""
    return StoredAnswer.objects.filter(expires_at__lte=now).delete()[0]


def _enter(user_id: int, key: str, asked: str, gone: Callable[[], bool] | None) -> Attempt:
    """Return the earlier answer, or the place for this request's; wait while another works."""
    until, pause_s = time.monotonic() + WAIT_S, LOOK_AFTER_S
    while time.monotonic() < until:
        found = _try_to_enter(user_id, key, asked)
        if found is not None:
            return found
        give_back_connection()
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, LOOK_AT_LEAST_EVERY_S)
        if gone is not None and gone():
            raise ClientGone("left while it waited for the first answer")
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
    return None if row.headers is None else Attempt(_replay(row))


def _claim_new(user_id: int, key: str, asked: str, now: dt.datetime) -> Attempt | None:
    try:
        row = StoredAnswer.objects.create(
            user_id=user_id,
            key=key,
            fingerprint=asked,
            claim=uuid.uuid4(),
            expires_at=_abandoned_at(now),
        )
    except IntegrityError:
        return None
    return Attempt(claim=row.claim)


def _claim_old(row: StoredAnswer, asked: str, now: dt.datetime) -> Attempt | None:
    """Take over the place of a server that died, or of an answer that is too old."""
    claim = uuid.uuid4()
    place = StoredAnswer.objects.filter(pk=row.pk, claim=row.claim, expires_at__lte=now)
    taken = place.update(
        fingerprint=asked, claim=claim, headers=None, body=None, expires_at=_abandoned_at(now)
    )
    return Attempt(claim=claim) if taken else None


def _abandoned_at(now: dt.datetime) -> dt.datetime:
    return now + dt.timedelta(seconds=settings.OPENREMBG.request_timeout_s)


def _replay(row: StoredAnswer) -> HttpResponse:
    headers: dict[str, Any] = {**row.headers, "X-Credits-Charged": "0", REPLAYED: "true"}
    media_type = headers.pop("Content-Type")
    return HttpResponse(bytes(row.body or b""), content_type=media_type, headers=headers)
