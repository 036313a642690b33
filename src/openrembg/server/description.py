"""What the API description says about the API as a whole: errors, headers, credentials."""

from typing import Any, Final

from openrembg.matting.errors import FieldError
from openrembg.matting.weights import DEFAULT_MODEL
from openrembg.server import errors

Json = dict[str, Any]

TITLE: Final = "openrembg"
VERSION: Final = "1.0.0"
DESCRIPTION: Final = (
    "Removes the background of a picture. Send the picture as multipart/form-data, get the "
    "cut-out back as one image. It speaks the RemBG API: clients written for that one work here "
    "when their base address is changed."
)
TAGS: Final[list[Json]] = [
    {"name": "Background removal", "description": "Pictures in, cut-outs out."},
    {"name": "Account", "description": "What an account has and used."},
    {"name": "Operation", "description": "For those who run the server."},
]
REQUEST_ID: Final = "5f0c0d1e-8f9b-4a43-9d39-0f0a4f1f7c55"

SECURITY_SCHEMES: Final[Json] = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "An API key. A key that no account has is answered with 401.",
    },
    "userToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A user token. Send it or a key, never both.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "openrembg_session",
        "description": "The cookie of whoever has logged in on this site's pages.",
    },
    "csrfToken": {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRFToken",
        "description": "What a form of this site's pages holds as csrfmiddlewaretoken.",
    },
}

_ERROR: Final[Json] = {
    "error": {"type": "string", "description": "What went wrong, for people."},
    "status": {"type": "integer", "description": "The HTTP status again."},
    "code": {"type": "string", "description": "What went wrong, for programs; stable."},
    "request_id": {"type": "string", "description": "The id under which the log knows this."},
}

SCHEMAS: Final[Json] = {
    "Error": {
        "type": "object",
        "description": "An error that is about no field.",
        "required": ["error", "status"],
        "properties": _ERROR,
    },
    "FieldError": {
        "type": "object",
        "description": "One field is wrong.",
        "required": ["error", "field", "status"],
        "properties": {
            **_ERROR,
            "field": {"type": "string", "description": "The form field that is wrong."},
        },
    },
    "FieldErrors": {
        "type": "object",
        "description": "Several things are wrong.",
        "required": ["error", "details", "status"],
        "properties": {
            **_ERROR,
            "error": {"type": "string", "const": errors.MULTIPLE},
            "details": {
                "type": "array",
                "minItems": 2,
                "items": {
                    "type": "object",
                    "required": ["field", "message"],
                    "properties": {
                        "field": {"type": "string"},
                        "message": {"type": "string"},
                    },
                },
            },
        },
    },
}


def _header(description: str, example: str | int, **schema: object) -> Json:
    kind = "integer" if isinstance(example, int) else "string"
    return {"description": description, "schema": {"type": kind, **schema}, "example": example}


HEADERS: Final[Json] = {
    "X-Request-Id": _header(
        "The request's id: the client's own X-Request-Id when it has at most 64 letters, digits "
        "and . _ : - and begins with one of the first two, else a fresh one.",
        REQUEST_ID,
    ),
    "X-Width": _header("Width of the answer in pixels.", 1200, minimum=1),
    "X-Height": _header("Height of the answer in pixels.", 800, minimum=1),
    "X-Credits-Charged": _header("Credits that this request cost.", 1, enum=[0, 1]),
    "X-Credits-Source": _header(
        "Whose credit it was.", "anonymous", enum=["included", "prepaid", "anonymous"]
    ),
    "Idempotent-Replayed": _header(
        "There when the answer is that of an earlier request with the same Idempotency-Key.",
        "true",
        enum=["true"],
    ),
    "X-Model": _header("The model that made the matte.", DEFAULT_MODEL),
    "X-Provider": _header("What computed it, and in which precision.", "OpenVINO CPU bf16"),
    "X-Foreground-Detected": _header(
        "Whether anything was found in the picture.", "true", enum=["true", "false"]
    ),
    "X-Foreground-Top": _header("First row of what was found; 0 for nothing.", 40, minimum=0),
    "X-Foreground-Left": _header("First column of what was found; 0 for nothing.", 25, minimum=0),
    "X-Foreground-Width": _header("Columns of what was found; 0 for nothing.", 900, minimum=0),
    "X-Foreground-Height": _header("Rows of what was found; 0 for nothing.", 700, minimum=0),
    "Content-Disposition": _header("A safe file name.", 'inline; filename="photo.webp"'),
    "Cache-Control": _header("Nothing may keep the picture.", "no-store"),
    "Server-Timing": _header(
        "Milliseconds in each stage.",
        "decode;dur=4.1, matte;dur=7.2, compose;dur=3.0, encode;dur=9.8",
    ),
    "RateLimit": _header(
        "How the caller stands with each limit: what is left (r) and seconds until it is all "
        "allowed again (t). An anonymous caller has a `day`, an account has `credits`.",
        '"minute";r=4;t=60, "day";r=19;t=86400',
    ),
    "RateLimit-Policy": _header(
        "The limits: how many (q) in how many seconds (w).",
        '"minute";q=5;w=60, "day";q=20;w=86400',
    ),
    "X-RateLimit-Limit": _header("The limit that would refuse first.", 5, minimum=0),
    "X-RateLimit-Remaining": _header("What is left of it.", 4, minimum=0),
    "X-RateLimit-Reset": _header("When it is all allowed again, Unix seconds.", 1795255260),
    "Retry-After": _header("After how many seconds to try again.", 5, minimum=1),
    "Allow": _header("The methods that the route answers.", "OPTIONS, POST"),
    "WWW-Authenticate": _header("Which credential is asked for.", 'Bearer realm="openrembg"'),
}

PARAMETERS: Final[Json] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": (
            "With an account: a retry with the same key gets the same bytes, within 24 hours, and "
            "costs nothing. What failed is tried again. At most 255 characters, preferably ASCII. "
            "Anonymous callers' keys are ignored, whatever they are."
        ),
        # No example: the console would send it with every picture, and the second would be 422.
        "schema": {"type": "string"},
    },
}

RATE_HEADERS: Final = (
    *("RateLimit", "RateLimit-Policy"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
)


def header_refs(*names: str) -> Json:
    """Return references to the documented headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def body_of(error: errors.PublicError) -> Json:
    """Return an error's answer as an example."""
    return {**error.body(), "code": error.code, "request_id": REQUEST_ID}


def error_response(
    text: str, examples: dict[str, errors.PublicError], *headers: str, schemas: tuple[str, ...]
) -> Json:
    """Return the description of an error answer with an example for each error."""
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in schemas]
    return {
        "description": text,
        "headers": header_refs("X-Request-Id", "X-Credits-Charged", *RATE_HEADERS, *headers),
        "content": {
            "application/json": {
                "schema": refs[0] if len(refs) == 1 else {"anyOf": refs},
                "examples": {
                    name: {"summary": name.replace("_", " "), "value": body_of(error)}
                    for name, error in examples.items()
                },
            }
        },
    }


_PLAIN: Final = ("Error",)

RESPONSES: Final[Json] = {
    "BadRequest": error_response(
        "The request is wrong, or sends two kinds of credentials.",
        {
            "one_field": errors.InvalidRequest(
                FieldError("w", "'w' must be an integer, got: 'abc'")
            ),
            "several_fields": errors.InvalidRequest(
                FieldError("image", "Uploaded file is empty (0 bytes)."),
                FieldError("h", "'h' must be at most 10000, got: 15000"),
            ),
            "both_credentials": errors.BothCredentials(),
            "idempotency_key": errors.IdempotencyKeyTooLong(),
        },
        schemas=("FieldErrors", "FieldError", "Error"),
    ),
    "Forbidden": error_response(
        "The account's e-mail address is not confirmed yet.",
        {"unverified": errors.EmailNotVerified()},
        schemas=_PLAIN,
    ),
    "Conflict": error_response(
        "The first request with this Idempotency-Key is still running after 30 seconds.",
        {"running": errors.StillRunning()},
        schemas=_PLAIN,
    ),
    "Unprocessable": error_response(
        "The Idempotency-Key stood for a different request.",
        {"reused": errors.OtherPayload()},
        schemas=_PLAIN,
    ),
    "Unauthorized": error_response(
        "The credential is unknown.",
        {"key": errors.InvalidKey(), "token": errors.InvalidToken()},
        "WWW-Authenticate",
        schemas=_PLAIN,
    ),
    "MethodNotAllowed": error_response(
        "The route does not answer this method.",
        {"method": errors.MethodNotAllowed()},
        "Allow",
        schemas=_PLAIN,
    ),
    "TooLarge": error_response(
        "A chunked body of more than 64 MiB.", {"body": errors.BodyTooLarge()}, schemas=_PLAIN
    ),
    "TooMany": error_response(
        "Too many requests a minute (with Retry-After); or no cut-out of the day, no credit or "
        "nothing below the key's own cap is left (without).",
        {
            "minute": errors.TooFast(30),
            "day": errors.DailyLimit(),
            "month": errors.MonthlyLimit(),
            "key_cap": errors.KeyCap(),
        },
        "Retry-After",
        schemas=_PLAIN,
    ),
    "Internal": error_response("Our fault.", {"internal": errors.Internal()}, schemas=_PLAIN),
    "Unavailable": error_response(
        "Busy, or not ready yet. Try again after Retry-After seconds.",
        {
            "busy": errors.Busy(),
            "not_ready": errors.NotReady(),
            "database_away": errors.DatabaseAway(),
            "spool_full": errors.SpoolFull(),
        },
        "Retry-After",
        schemas=_PLAIN,
    ),
}


def response_ref(name: str) -> Json:
    """Return a reference to a described answer."""
    return {"$ref": f"#/components/responses/{name}"}


def servers(public_url: str | None) -> list[Json]:
    """Return where the API is: the public address when there is one, and where this came from."""
    here = {"url": "/", "description": "The server that this description comes from."}
    if public_url is None:
        return [here]
    return [{"url": public_url, "description": "The public address."}, here]
