"""From an answer that is no success to the error that it is."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from openrembg.client import errors
from openrembg.client.errors import APIError
from openrembg.client.plain_text import printable
from openrembg.matting.errors import FieldError

MAX_BODY: Final = 64 * 1024
MAX_SHOWN: Final = 200
MAX_MESSAGE: Final = 2000
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)

BY_CODE: Final[Mapping[str, type[APIError]]] = {
    "invalid_request": errors.InvalidRequest,
    "bad_request": errors.BadRequest,
    "both_credentials": errors.BothCredentials,
    "idempotency_key_too_long": errors.IdempotencyKeyTooLong,
    "invalid_signature": errors.BadSignature,
    "invalid_event": errors.NotAnEvent,
    "invalid_api_key": errors.InvalidKey,
    "invalid_user_token": errors.InvalidToken,
    "not_logged_in": errors.NotLoggedIn,
    "email_not_verified": errors.EmailNotVerified,
    "csrf_failed": errors.CsrfFailed,
    "not_found": errors.NotFound,
    "method_not_allowed": errors.MethodNotAllowed,
    "idempotency_key_in_use": errors.StillRunning,
    "body_too_large": errors.BodyTooLarge,
    "idempotency_key_reused": errors.OtherPayload,
    "rate_limited": errors.TooFast,
    "daily_limit": errors.DailyLimit,
    "monthly_limit": errors.MonthlyLimit,
    "key_cap": errors.KeyCap,
    "internal": errors.Internal,
    "unavailable": errors.Unavailable,
    "busy": errors.Busy,
    "not_ready": errors.NotReady,
    "database_away": errors.DatabaseAway,
    "spool_full": errors.SpoolFull,
}
# The contract's sentences, for servers that send no code.
BY_MESSAGE: Final[Mapping[str, type[APIError]]] = {
    "This is a mistake: Cannot use both API key and user token": errors.BothCredentials,
    "invalid api key": errors.InvalidKey,
    "invalid user token": errors.InvalidToken,
    "Email address not verified – please check your inbox": errors.EmailNotVerified,
    "You're making requests too quickly, Please Upgrade or slow down.": errors.TooFast,
    "You've reached your daily limit. Please sign up for more access.": errors.DailyLimit,
    "You've reached your monthly limit. Consider purchasing more credits.": errors.MonthlyLimit,
}
BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    400: errors.InvalidRequest,
    401: errors.InvalidKey,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    409: errors.StillRunning,
    413: errors.BodyTooLarge,
    422: errors.OtherPayload,
    429: errors.RateLimited,
    500: errors.Internal,
    503: errors.Unavailable,
}


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> APIError:
    """Return the error for a status of 400 or more.

    headers: names in lower case. body: at most its first 64 KiB; it need not be the API's JSON.
    """
    text = body.decode("utf-8", "replace")
    told = _told(text)
    message = _text(told, "error")
    kind = _kind(status, _name(told, "code"), message)
    return kind(
        printable(message, MAX_MESSAGE) if message else _foreign(status, text),
        status=status,
        code=_name(told, "code"),
        details=_details(told, message),
        request_id=_name(told, "request_id")
        or printable(headers.get("x-request-id", ""), MAX_SHOWN)
        or None,
        retry_after_s=retry_after_s(headers),
        body=text,
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, section 10.2.3), None if unreadable.

    A moment is counted from the answer's own Date, so that our clock does not matter.
    """
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    moment = _moment(value)
    if moment is None:
        return None
    now = _moment(headers.get("date", "")) or dt.datetime.now(dt.UTC)
    return max(0.0, (moment - now).total_seconds())


def _moment(value: str) -> dt.datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _told(text: str) -> Mapping[str, object]:
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _text(told: Mapping[str, object], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _name(told: Mapping[str, object], name: str) -> str | None:
    return printable(_text(told, name) or "", MAX_SHOWN) or None


def _kind(status: int, code: str | None, message: str | None) -> type[APIError]:
    known = BY_CODE.get(code or "") or (None if code else BY_MESSAGE.get(message or ""))
    if known is not None:
        return known
    if status >= 500:
        return BY_STATUS.get(status, errors.ServerFailed)
    return BY_STATUS.get(status, APIError)


def _details(told: Mapping[str, object], message: str | None) -> tuple[FieldError, ...]:
    field = _text(told, "field")
    if field is not None:
        return (FieldError(printable(field, MAX_SHOWN), printable(message or "", MAX_MESSAGE)),)
    listed = told.get("details")
    found = []
    for detail in listed if isinstance(listed, list) else []:
        if isinstance(detail, dict):
            pair = _text(detail, "field"), _text(detail, "message")
            found.append(FieldError(*(printable(part or "", MAX_MESSAGE) for part in pair)))
    return tuple(found)


def _foreign(status: int, text: str) -> str:
    """Return a sentence for an answer that is not the API's, for instance a proxy's page."""
    said = printable(re.sub(r"<[^<>]*>", " ", text), MAX_SHOWN)
    return f"The server answered {status}: {said}" if said else f"The server answered {status}."
