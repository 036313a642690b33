"""What an API key and a user token look like: a prefix, random characters, a checksum.

The prefix lets secret scanners find a leaked one; the checksum refuses a mistyped one without
asking the database. `orbk_` stands for keys, `orbt_` for tokens.
"""

import hashlib
import secrets
import string
import zlib
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["key", "token"]

PREFIXES: Final[dict[Kind, str]] = {"key": "orbk_", "token": "orbt_"}
ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
# 32 characters out of 62 are 190 bits: nobody guesses one, so guesses need no limit.
RANDOM_CHARS: Final = 32
CHECKSUM_CHARS: Final = 6
VISIBLE_CHARS: Final = 10


@dataclass(frozen=True, slots=True)
class Secret:
    """A fresh credential: its text, which is shown once, and what is kept of it."""

    text: str = field(repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of the text in hexadecimal."""
        return digest_of(self.text)

    @property
    def prefix(self) -> str:
        """The characters that its owner knows it by."""
        return self.text[:VISIBLE_CHARS]


def digest_of(text: str) -> str:
    """Return what is kept of a secret: its SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def fresh(kind: Kind) -> Secret:
    """Return a credential that nobody has."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_CHARS))
    body = PREFIXES[kind] + random
    return Secret(body + _checksum(body))


def parse(kind: Kind, text: str) -> Secret | None:
    """Return what a client sent as a credential, None when it cannot be one."""
    length = len(PREFIXES[kind]) + RANDOM_CHARS + CHECKSUM_CHARS
    if len(text) != length or not text.isascii() or not text.startswith(PREFIXES[kind]):
        return None
    body, checksum = text[:-CHECKSUM_CHARS], text[-CHECKSUM_CHARS:]
    return Secret(text) if _checksum(body) == checksum else None


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode("ascii")), ""
    for _ in range(CHECKSUM_CHARS):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
