"""Mails as their readers see them: from the folder that a server without a mail server fills."""

import email
import email.policy
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was read."""

    to: str
    subject: str
    text: str

    @property
    def link(self) -> str:
        """The first link, as a mail reader without wits finds it."""
        return re.findall(r"https?://\S+", self.text)[0]

    @property
    def lines(self) -> list[str]:
        """The lines of the text."""
        return self.text.splitlines()


def mails(folder: Path) -> list[Mail]:
    """Return the mails of an outbox, the oldest first."""
    return [parsed(path.read_bytes()) for path in sorted(folder.glob("*.eml"))]


def parsed(data: bytes) -> Mail:
    """Return the mail that a file or a mail server holds."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    return Mail(str(message["To"]), str(message["Subject"]).strip(), body.get_content())
