"""What the server answers when it does not answer with a picture.

    PublicError                     a status, a stable code, a public message; the log detail apart
    ├── InvalidRequest         400  fields that are wrong, one FieldError each
    ├── BadRequest             400  wrong as a whole, for instance in its Host header
    ├── BothCredentials        400  an API key and a user token at once
    ├── IdempotencyKeyTooLong  400
    ├── BadSignature           400  a webhook that Stripe did not sign, or not now
    ├── NotAnEvent             400  a webhook that is signed and makes no sense
    ├── InvalidKey             401
    │   └── AccountGone             deleted while the request ran
    ├── InvalidToken           401
    ├── NotLoggedIn            401  no session, on the routes that want one
    ├── EmailNotVerified       403
    ├── CsrfFailed             403  a session alone: another site may have sent it
    ├── NotFound               404
    ├── MethodNotAllowed       405
    ├── StillRunning           409  the request that a retry repeats has not ended yet
    ├── BodyTooLarge           413
    ├── OtherPayload           422  an Idempotency-Key that stood for another request
    ├── TooFast                429  the short-term limit; says when to come back
    ├── DailyLimit             429
    ├── MonthlyLimit           429
    │   └── KeyCap                  the key's own cap
    ├── ClientGone             499  nobody is left to answer; the status is for the log alone
    ├── Internal               500
    └── Unavailable            503  says when to come back
        ├── Busy                    the queue is full, or the wait in it was too long
        ├── NotReady                the model is still loading, or did not load
        ├── DatabaseAway            the database does not answer
        └── SpoolFull               no room for another upload

The messages that the API contract fixes are here, byte for byte.
"""

from collections.abc import Mapping
from typing import ClassVar

from openrembg.matting.errors import FieldError

MULTIPLE = "Multiple validation errors"


class PublicError(Exception):
    """An answer that is an error. `detail` goes to the log, never to the client."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    message: ClassVar[str] = "Internal server error"

    def __init__(self, detail: str = "", *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail or self.message)
        self.detail = detail
        self.headers = dict(headers or {})

    def body(self) -> dict[str, object]:
        """Return the error as the contract's JSON says it, without code and request id."""
        return {"error": self.message, "status": self.status}


class InvalidRequest(PublicError):
    """One or more fields are wrong."""

    status = 400
    code = "invalid_request"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__(", ".join(sorted({error.field for error in errors})))
        self.errors = errors

    def body(self) -> dict[str, object]:
        """Return one field's error flat, several as details."""
        if len(self.errors) == 1:
            only = self.errors[0]
            return {"error": only.message, "field": only.field, "status": self.status}
        details = [{"field": error.field, "message": error.message} for error in self.errors]
        return {"error": MULTIPLE, "details": details, "status": self.status}


class BadRequest(PublicError):
    """A request that is wrong as a whole, for instance in its Host header."""

    status = 400
    code = "bad_request"
    message = "Bad request"


class BothCredentials(PublicError):
    """Two answers to the question who is asking."""

    status = 400
    code = "both_credentials"
    message = "This is a mistake: Cannot use both API key and user token"


class IdempotencyKeyTooLong(PublicError):
    """More characters than an Idempotency-Key may have."""

    status = 400
    code = "idempotency_key_too_long"
    message = "The Idempotency-Key must have at most 255 characters."


class BadSignature(PublicError):
    """A webhook that Stripe did not sign with our secret, or not within the last minutes."""

    status = 400
    code = "invalid_signature"
    message = "The Stripe-Signature is missing, wrong or not from now."


class NotAnEvent(PublicError):
    """A webhook whose signature is right and whose body is no event."""

    status = 400
    code = "invalid_event"
    message = "The body is not a Stripe event."


class InvalidKey(PublicError):
    """No account has this key."""

    status = 401
    code = "invalid_api_key"
    message = "invalid api key"


class AccountGone(InvalidKey):
    """The account was deleted while its request ran."""


class InvalidToken(PublicError):
    """No user has this token."""

    status = 401
    code = "invalid_user_token"
    message = "invalid user token"


class NotLoggedIn(PublicError):
    """Nobody is logged in where a session's cookie is what counts."""

    status = 401
    code = "not_logged_in"
    message = "You are not logged in."


class EmailNotVerified(PublicError):
    """The user has not clicked the link in the mail yet."""

    status = 403
    code = "email_not_verified"
    message = "Email address not verified – please check your inbox"


class CsrfFailed(PublicError):
    """The browser's session came without the proof that a page of ours sent it."""

    status = 403
    code = "csrf_failed"
    message = "The CSRF token is missing or wrong. Please reload the page and try again."


class NotFound(PublicError):
    """No such route."""

    status = 404
    code = "not_found"
    message = "Not found"


class MethodNotAllowed(PublicError):
    """The route is there, for other methods."""

    status = 405
    code = "method_not_allowed"
    message = "Method not allowed"


class StillRunning(PublicError):
    """The first request under this Idempotency-Key is not answered yet."""

    status = 409
    code = "idempotency_key_in_use"
    message = "A request with this Idempotency-Key is still running. Please try again shortly."


class BodyTooLarge(PublicError):
    """More bytes than any request may have."""

    status = 413
    code = "body_too_large"
    message = "Request body is too large"


class OtherPayload(PublicError):
    """A retry that is none: what it asks for is not what the first request asked for."""

    status = 422
    code = "idempotency_key_reused"
    message = "This Idempotency-Key was already used for a different request."


class TooFast(PublicError):
    """More requests a minute than the caller may send."""

    status = 429
    code = "rate_limited"
    message = "You're making requests too quickly, Please Upgrade or slow down."

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_s)})


class DailyLimit(PublicError):
    """All of an anonymous caller's cut-outs of the day are used."""

    status = 429
    code = "daily_limit"
    message = "You've reached your daily limit. Please sign up for more access."


class MonthlyLimit(PublicError):
    """The included credits are used up, and no prepaid credit is left."""

    status = 429
    code = "monthly_limit"
    message = "You've reached your monthly limit. Consider purchasing more credits."


class KeyCap(MonthlyLimit):
    """The API key has used what it may use in a month."""

    code = "key_cap"


class ClientGone(PublicError):
    """The client hung up before its picture was ready."""

    status = 499
    code = "client_gone"
    message = "Client closed the request"


class Internal(PublicError):
    """Our fault."""


class Unavailable(PublicError):
    """Not now. Says after how many seconds to come back."""

    status = 503
    code = "unavailable"
    message = "The service is not available right now. Please try again shortly."

    def __init__(self, detail: str = "", *, retry_after_s: int = 5) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class Busy(Unavailable):
    """Every worker is busy and the queue is full or slow."""

    code = "busy"
    message = "The service is busy right now. Please try again shortly."


class NotReady(Unavailable):
    """There is no model to answer with."""

    code = "not_ready"
    message = "The service is not ready yet. Please try again shortly."


class DatabaseAway(Unavailable):
    """The database does not answer, or not in time."""

    code = "database_away"
    message = "The service is not available right now. Please try again shortly."


class SpoolFull(Unavailable):
    """There is no room for another upload."""

    code = "spool_full"
    message = "The service cannot take more uploads right now. Please try again shortly."
