"""Answers that are kept, so that a retry with the same Idempotency-Key gets the same bytes."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from openrembg.server.accounts.models import DIGEST_CHARS

MAX_IDEMPOTENCY_KEY = 255


class StoredAnswer(models.Model):
    """One request of a user under its Idempotency-Key: running, then answered.

    fingerprint: the digest of what was asked. headers: None while it runs. body: None also for an
    answer that is too large to keep, which a retry has computed again. size: bytes of the body that
    are kept. claim: who is working on it. expires_at: until when it is kept; while it runs, from
    when on its server is taken for dead.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="stored_answers"
    )
    key = models.CharField(max_length=MAX_IDEMPOTENCY_KEY)
    fingerprint = models.CharField(max_length=DIGEST_CHARS)
    claim = models.UUIDField(unique=True)
    headers: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    body = models.BinaryField(null=True)
    size = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=("user", "key"), name="one_answer_a_key"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.fingerprint[:8]}"
