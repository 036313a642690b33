"""Every error that a client can see, for the documentation: from the classes that answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from openrembg.matting.errors import INVALID_SIGNATURE
from openrembg.server.errors import MULTIPLE, ClientGone, InvalidRequest, PublicError
from openrembg.server.http_response import REFUSALS
from openrembg.server.manual.prose import in_html
from openrembg.server.quota.usage_query import COMBINED
from openrembg.server.removal.upload import EMPTY, NO_FILE, NO_IMAGE


@dataclass(frozen=True, slots=True)
class Error:
    """An error. messages: what it says, byte for byte; empty where that depends on the field."""

    status: int
    code: str
    message: str
    about: SafeString
    advice: SafeString


@dataclass(frozen=True, slots=True)
class Fault:
    """What is said of a wrong field. message: an example, byte for byte."""

    field: str
    message: str
    about: SafeString


# What it means, and what to do, by the error's code.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "invalid_request": (
        gettext_noop("A field is missing or wrong. `field` names it and `error` says why."),
        gettext_noop("Correct the field: the same request will get the same answer."),
    ),
    "bad_request": (
        gettext_noop(
            "The request is wrong as a whole, for instance because this server does not answer "
            "for the name in its `Host` header."
        ),
        gettext_noop("Check the address and the headers."),
    ),
    "both_credentials": (
        gettext_noop("An API key and a user token came together."),
        gettext_noop("Send only one of them."),
    ),
    "idempotency_key_too_long": (
        gettext_noop("The `Idempotency-Key` has more than 255 characters."),
        gettext_noop("Use a shorter one; a UUID is enough."),
    ),
    "invalid_signature": (
        gettext_noop(
            "Webhook: Stripe did not sign this event with this server's secret, or not within five "
            "minutes of now."
        ),
        gettext_noop("As the operator, check `STRIPE_WEBHOOK_SECRET` and the server's clock."),
    ),
    "invalid_event": (
        gettext_noop("Webhook: the signature is right, but the body is not an event."),
        gettext_noop("As the operator, check what sends to this address."),
    ),
    "malformed_request": (
        gettext_noop("What arrived is not valid HTTP."),
        gettext_noop("Let an HTTP library write the request."),
    ),
    "invalid_api_key": (
        gettext_noop("The key is unknown, revoked or expired, or a route that needs one got none."),
        gettext_noop("Copy the key again without spaces, or create a new one."),
    ),
    "invalid_user_token": (
        gettext_noop("The user token is unknown, revoked or expired."),
        gettext_noop("Get a new one."),
    ),
    "not_logged_in": (
        gettext_noop("A user token was asked for, and nobody is signed in."),
        gettext_noop("Sign in on this site first."),
    ),
    "email_not_verified": (
        gettext_noop("The e-mail address of the account is not confirmed yet."),
        gettext_noop("Follow the link in the mail. Signing in sends another one."),
    ),
    "csrf_failed": (
        gettext_noop("A user token was asked for without the CSRF token of a page of this site."),
        gettext_noop("Load the page again and send its token along."),
    ),
    "not_found": (
        gettext_noop("There is nothing at this address."),
        gettext_noop("Check the path for typing errors."),
    ),
    "method_not_allowed": (
        gettext_noop("The address does not take this method."),
        gettext_noop("Use one of those that the header `Allow` names."),
    ),
    "idempotency_key_in_use": (
        gettext_noop(
            "After 30 seconds, the first request with this `Idempotency-Key` is still running."
        ),
        gettext_noop("Wait a moment and send it again with the same key."),
    ),
    "body_too_large": (
        gettext_noop(
            "The body has more than 64 MB. On `/rmbg`, a request whose `Content-Length` says so "
            "gets the message about the file's size instead."
        ),
        gettext_noop("Send a smaller file."),
    ),
    "idempotency_key_reused": (
        gettext_noop(
            "This `Idempotency-Key` already stands for another picture, another file name or other "
            "fields."
        ),
        gettext_noop("Use a new key for each new picture."),
    ),
    "rate_limited": (
        gettext_noop("Too many requests within a minute."),
        gettext_noop("Wait for the seconds in `Retry-After`, then go on more slowly."),
    ),
    "daily_limit": (
        gettext_noop("Without an account, there are no more cut-outs today."),
        gettext_noop("Sign up, or come back at the time in `X-RateLimit-Reset`."),
    ),
    "monthly_limit": (
        gettext_noop("The included credits are used up, and no prepaid ones are left."),
        gettext_noop("Buy credits, take a larger plan or wait for the next period."),
    ),
    "key_cap": (
        gettext_noop(
            "This key has used all that its own monthly cap allows. The account may have more."
        ),
        gettext_noop("Raise the key's cap, or use another key."),
    ),
    "headers_too_large": (
        gettext_noop("The request's headers have more than 32 KB."),
        gettext_noop("Send fewer or shorter headers. The API needs no cookies."),
    ),
    "internal": (
        gettext_noop("Something failed on the server. Its log knows the `request_id`."),
        gettext_noop("Try again; if it stays, tell the operator the `request_id`."),
    ),
    "internal_error": (
        gettext_noop("The same, in a request that did not even reach the application."),
        gettext_noop("Try again; if it stays, tell the operator the `request_id`."),
    ),
    "unsupported_transfer_encoding": (
        gettext_noop("`Transfer-Encoding` names something other than `chunked`."),
        gettext_noop("Send the body plainly or in chunks."),
    ),
    "unavailable": (
        gettext_noop("The server cannot answer at the moment."),
        gettext_noop("Try again after the seconds in `Retry-After`."),
    ),
    "busy": (
        gettext_noop("Everything computes, and the queue is full or the wait in it was too long."),
        gettext_noop("Try again after the seconds in `Retry-After`, each time a little later."),
    ),
    "not_ready": (
        gettext_noop("The model is still loading, or it could not be loaded."),
        gettext_noop("Try again shortly. As the operator, read the reason at `/ready`."),
    ),
    "database_away": (
        gettext_noop("The server's database does not answer."),
        gettext_noop("Try again after the seconds in `Retry-After`."),
    ),
    "spool_full": (
        gettext_noop("There is no room for another upload right now."),
        gettext_noop("Try again after the seconds in `Retry-After`."),
    ),
}

_FAULTS: Final = (
    ("image", NO_IMAGE, gettext_noop("The form has no file part called `image`.")),
    ("image", NO_FILE, gettext_noop("The file part has an empty file name.")),
    (
        "image",
        "File type '.exe' is not supported. Allowed formats: webp, bmp, png, jpg, jpeg",
        gettext_noop("The file name ends like another kind of file."),
    ),
    ("image", EMPTY, gettext_noop("The file has no bytes.")),
    (
        "image",
        "File size (55.2 MB) exceeds the maximum allowed size of 50 MB.",
        gettext_noop("The file is too large."),
    ),
    (
        "image",
        INVALID_SIGNATURE,
        gettext_noop("The bytes are not a PNG, JPEG, WebP or BMP, or the file is damaged."),
    ),
    (
        "image",
        "Image width (12000px) exceeds the maximum allowed width of 10000px.",
        gettext_noop("The picture is too wide."),
    ),
    (
        "image",
        "Image height (15000px) exceeds the maximum allowed height of 10000px.",
        gettext_noop("The picture is too high."),
    ),
    ("w", "'w' must be an integer, got: 'abc'", gettext_noop("Not a whole number.")),
    ("w", "'w' must be at least 1, got: -5", gettext_noop("Too small.")),
    ("w", "'w' must be at most 10000, got: 15000", gettext_noop("Too large.")),
    ("h", "'h' must be an integer, got: '12.5'", gettext_noop("The same three for the height.")),
    ("angle", "'angle' must be a number, got: 'ninety'", gettext_noop("Not a number.")),
    (
        "angle",
        "'angle' must be between -360 and 360 degrees, got: 500.0",
        gettext_noop("More than a whole turn."),
    ),
    (
        "format",
        "Invalid format 'gif'. Allowed formats: PNG, JPEG, WEBP, BMP",
        gettext_noop("Not one of the four formats."),
    ),
    (
        "bg_color",
        "Invalid color format '#12345'. Use hex format: #RGB, #RGBA, #RRGGBB, or #RRGGBBAA",
        gettext_noop("Neither a hex colour nor the name of a CSS colour."),
    ),
    (
        "mask",
        "Cannot use 'mask=true' together with 'bg_color'. Choose one or the other.",
        gettext_noop("A mask has no background."),
    ),
    (
        "mask",
        "'mask' must be a boolean (true or false), got: 'maybe'",
        gettext_noop("Neither yes nor no."),
    ),
    (
        "exact_resize",
        "'exact_resize' must be a boolean (true or false), got: '2'",
        gettext_noop("Neither yes nor no."),
    ),
    (
        "expand",
        "'expand' must be a boolean (true or false), got: 'maybe'",
        gettext_noop("Neither yes nor no."),
    ),
    (
        "return_base64",
        "'return_base64' must be a boolean (true or false), got: 'maybe'",
        gettext_noop("Neither yes nor no."),
    ),
)

_USAGE_FAULTS: Final = (
    ("year", "'year' must be at least 1, got: 0", gettext_noop("Years go from 1 to 9999.")),
    ("month", "'month' must be at most 12, got: 13", gettext_noop("Months go from 1 to 12.")),
    (
        "periodStartUnix",
        "'periodStartUnix' must be an integer, got: 'today'",
        gettext_noop("Not a moment in Unix seconds."),
    ),
    (
        "periodStartUnix",
        COMBINED,
        gettext_noop("Ask for a billing period or for a calendar month."),
    ),
)


def errors() -> tuple[Error, ...]:
    """Return every error by status, in the language of the moment."""
    found = (_error(*one) for one in sorted(known(), key=lambda one: one[0]))
    return tuple(found)


def known() -> Iterator[tuple[int, str, str]]:
    """Yield status, code and message of every error that a client can see, each code once."""
    seen = set()
    for kind in _kinds(PublicError):
        # Of an account that is gone, a client is told what it is told of an unknown key.
        if kind.code in seen or issubclass(kind, ClientGone):
            continue
        seen.add(kind.code)
        yield kind.status, kind.code, "" if kind is InvalidRequest else kind.message
    for status, (code, message) in REFUSALS.items():
        yield status, code, message


def faults() -> tuple[Fault, ...]:
    """Return what is said of wrong fields of POST /rmbg, in the order in which it is checked."""
    return tuple(_fault(*one) for one in _FAULTS)


def usage_faults() -> tuple[Fault, ...]:
    """Return what is said of wrong parameters of GET /api/membership-usage."""
    return tuple(_fault(*one) for one in _USAGE_FAULTS)


def several() -> str:
    """Return the message when more than one thing is wrong."""
    return MULTIPLE


def _kinds(root: type[PublicError]) -> Iterator[type[PublicError]]:
    for kind in root.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _error(status: int, code: str, message: str) -> Error:
    about, advice = _WORDS[code]
    return Error(status, code, message, in_html(gettext(about)), in_html(gettext(advice)))


def _fault(field: str, message: str, about: str) -> Fault:
    return Fault(field, message, in_html(gettext(about)))
