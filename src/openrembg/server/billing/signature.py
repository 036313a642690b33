"""Whether an event comes from Stripe: the signature over the body as it was sent."""

import datetime as dt
import re
from typing import Final

from openrembg.server.errors import BadSignature

# Stripe signs each delivery anew, so that an honest one is never older.
TOLERANCE_S: Final = 300
_SECONDS: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


def verify(body: bytes, header: str, secret: str, now: dt.datetime) -> str:
    """Return the body as text; raises BadSignature unless a v1 signature is that of `secret`.

    The header has several while a secret is being replaced. Source: docs.stripe.com/webhooks.
    """
    # Not before: a server without Stripe does without it, and it takes a third of a second.
    from stripe import SignatureVerificationError, WebhookSignature

    # The library lets the future pass.
    if abs(now.timestamp() - _signed_at(header)) > TOLERANCE_S:
        raise BadSignature("signed at another time")
    try:
        text = body.decode("utf-8")
        WebhookSignature.verify_header(text, header, secret)
    except (SignatureVerificationError, UnicodeDecodeError) as error:
        raise BadSignature(type(error).__name__) from error
    return text


def _signed_at(header: str) -> int:
    """Return the only moment in the header: of two, the library might take the other one."""
    pairs = [item.partition("=") for item in header.split(",")]
    moments = [moment for name, _, moment in pairs if name.strip() == "t"]
    is_plain = header.isascii() and " " not in header and "\t" not in header
    if not is_plain or len(moments) != 1 or not _SECONDS.fullmatch(moments[0]):
        raise BadSignature("no moment")
    return int(moments[0])
