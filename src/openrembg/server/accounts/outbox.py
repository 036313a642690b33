"""Where mails go when there is no mail server: into a folder, and their links into the log."""

import logging
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.utils import timezone

logger = logging.getLogger("openrembg.mail")


class Outbox(BaseEmailBackend):
    """Writes each mail into a file of its own, which its owner alone may read."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Write the mails; return how many there were."""
        folder: Path = settings.OPENREMBG.outbox_folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for message in email_messages:
            name = _write(folder, message.message().as_bytes())
            _log(name, message)
        return len(email_messages)


def _write(folder: Path, mail: bytes) -> str:
    # The names sort by time, and two servers never choose the same.
    name = f"{timezone.now():%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(8)}.eml"
    fresh = folder / f".{name}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(mail)
        fresh.rename(folder / name)
    except OSError:
        fresh.unlink()
        raise
    return name


def _log(name: str, message: EmailMessage) -> None:
    fields = {"mail": name, "subject": message.subject, "links": links_in(str(message.body))}
    logger.info("A mail lies in the outbox", extra={"fields": fields})


def links_in(text: str) -> list[str]:
    """Return the lines that are links, from the first character to the last."""
    return [line for line in text.splitlines() if line.startswith(("http://", "https://"))]
