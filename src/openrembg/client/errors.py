"""What can go wrong between a program and the server.

    RembgError                          the root
    ├── InputError                      the picture or an argument cannot be used
    ├── ConnectionFailed                the server cannot be reached, or the line broke
    │   └── TimedOut                    the call's time is over
    ├── UnexpectedAnswer                what came is not what this API sends
    ├── NotSaved                        the picture came, and its file could not be written
    └── APIError                        the server refused, and says why
        ├── InvalidRequest         400  fields that are wrong; and every other 400
        │   ├── BadRequest              wrong as a whole
        │   ├── BothCredentials         an API key and a user token at once
        │   ├── IdempotencyKeyTooLong
        │   ├── BadSignature            a webhook that Stripe did not sign
        │   └── NotAnEvent              a webhook that makes no sense
        ├── InvalidKey             401
        ├── InvalidToken           401
        ├── NotLoggedIn            401
        ├── EmailNotVerified       403
        ├── CsrfFailed             403
        ├── NotFound               404  mostly a wrong address
        ├── MethodNotAllowed       405
        ├── StillRunning           409  the first request under this Idempotency-Key has not ended
        ├── BodyTooLarge           413
        ├── OtherPayload           422  the Idempotency-Key stood for another request
        ├── RateLimited            429
        │   ├── TooFast                 the short-term limit
        │   ├── DailyLimit
        │   └── MonthlyLimit            no credits are left
        │       └── KeyCap              the key's own cap
        └── ServerFailed           5xx
            ├── Internal           500
            └── Unavailable        503
                ├── Busy
                ├── NotReady
                ├── DatabaseAway
                └── SpoolFull

Every message is one printable line. Classes below APIError have the names of the server's own.
"""

from pathlib import Path

from openrembg.matting.errors import FieldError


class RembgError(Exception):
    """The root of every error that the client raises on purpose."""


class InputError(RembgError):
    """A picture or an argument that cannot be used; the server was not asked."""


class ConnectionFailed(RembgError):
    """The server cannot be reached, the line broke, or the client was closed.

    may_pass: False when trying again does not help. reached: False when not even a connection came
    about, so that nothing was sent.
    """

    def __init__(self, message: str, *, may_pass: bool = True, reached: bool = True) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.reached = reached


class TimedOut(ConnectionFailed):
    """The time for the whole call is over."""

    def __init__(self, message: str) -> None:
        super().__init__(message, may_pass=False)


class UnexpectedAnswer(RembgError):
    """An answer that this API does not give; mostly another server is at that address."""


class NotSaved(RembgError):
    """The picture came, and its file could not be written, for instance on a full disk.

    path: the file. credits_charged: what the picture cost, None if the server did not say.
    idempotency_key: the same call with it is not charged again; None for an anonymous one.
    """

    def __init__(
        self, message: str, path: Path, credits_charged: int | None, idempotency_key: str | None
    ) -> None:
        super().__init__(message)
        self.path = path
        self.credits_charged = credits_charged
        self.idempotency_key = idempotency_key


class APIError(RembgError):
    """The server refused.

    status: HTTP's. message: the server's sentence. code: its stable name, None for a server or a
    proxy that has none. field, details: which fields are wrong. request_id: for the operator's
    log. retry_after_s: when to come back. body: what came, as text, at most 64 KiB.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str | None = None,
        details: tuple[FieldError, ...] = (),
        request_id: str | None = None,
        retry_after_s: float | None = None,
        body: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.details = details
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.body = body

    @property
    def field(self) -> str | None:
        """The one field that is wrong; None when it is none or several."""
        return self.details[0].field if len(self.details) == 1 else None

    def __str__(self) -> str:
        if len(self.details) < 2:
            return self.message
        return f"{self.message}: " + "; ".join(detail.message for detail in self.details)


class InvalidRequest(APIError):
    """Fields or a picture that the server does not take."""


class BadRequest(InvalidRequest):
    """A request that is wrong as a whole, for instance in its Host header."""


class BothCredentials(InvalidRequest):
    """An API key and a user token in one request."""


class IdempotencyKeyTooLong(InvalidRequest):
    """More than 255 characters."""


class BadSignature(InvalidRequest):
    """A webhook that Stripe did not sign, or not now."""


class NotAnEvent(InvalidRequest):
    """A webhook whose body is no event."""


class InvalidKey(APIError):
    """No account has this API key, or the key is missing where one is needed."""


class InvalidToken(APIError):
    """No user has this token."""


class NotLoggedIn(APIError):
    """A route that wants a session."""


class EmailNotVerified(APIError):
    """The account's address is not verified yet."""


class CsrfFailed(APIError):
    """A session without the proof that a page of the server's sent it."""


class NotFound(APIError):
    """No such route: mostly the base URL is wrong."""


class MethodNotAllowed(APIError):
    """The route is there, for other methods."""


class StillRunning(APIError):
    """The first request under this Idempotency-Key is not answered yet."""


class BodyTooLarge(APIError):
    """More bytes than the server or a proxy takes."""


class OtherPayload(APIError):
    """The Idempotency-Key was used for another request."""


class RateLimited(APIError):
    """Some limit is reached."""


class TooFast(RateLimited):
    """More requests a minute than the caller may send."""


class DailyLimit(RateLimited):
    """An anonymous caller has used the day's cut-outs."""


class MonthlyLimit(RateLimited):
    """The included credits are used up and no prepaid credit is left."""


class KeyCap(MonthlyLimit):
    """The API key has used what it may use in a month."""


class ServerFailed(APIError):
    """The server or a proxy before it failed."""


class Internal(ServerFailed):
    """The server's own fault."""


class Unavailable(ServerFailed):
    """Not now."""


class Busy(Unavailable):
    """Every worker is busy."""


class NotReady(Unavailable):
    """The model is still loading, or did not load."""


class DatabaseAway(Unavailable):
    """The server's database does not answer."""


class SpoolFull(Unavailable):
    """No room for another upload."""
