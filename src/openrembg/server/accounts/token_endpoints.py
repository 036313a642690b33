"""POST and DELETE /api/user-token: the pages of this site get a user token, and give it back.

The one route of the API where a cookie says who is asking. So it wants the CSRF token too, which
no other site can read.
"""

import datetime as dt
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja.utils import check_csrf
from pydantic import BaseModel, ConfigDict, Field

from openrembg.server import errors
from openrembg.server.accounts.asking import token_of
from openrembg.server.accounts.keys import revoke
from openrembg.server.accounts.models import User
from openrembg.server.accounts.signing_out import create_token_of_session
from openrembg.server.description import error_response, header_refs, response_ref

Json = dict[str, Any]


class FreshToken(BaseModel):
    """A user token that was just made."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "token": "orbt_4sVn0lEUcQ3dFkPz7MhBqYx2WtRa9GjC1oLZ5e",
                "expires_at": "2026-11-21T17:00:00Z",
            }
        }
    )

    token: str = Field(description="The token; send it as Authorization: Bearer TOKEN.")
    expires_at: dt.datetime = Field(description="When it stops working (UTC).")


def post_user_token(request: HttpRequest) -> HttpResponse:
    """Answer with a fresh token for whoever is logged in; it ends with the session.

    Raises NotLoggedIn, CsrfFailed and EmailNotVerified.
    """
    user = _logged_in(request)
    token, secret = create_token_of_session(user, request.session)
    assert token.expires_at is not None  # noqa: S101 (for mypy: a token always ends)
    expires_at = token.expires_at.astimezone(dt.UTC).replace(microsecond=0)
    fresh = FreshToken(token=secret.text, expires_at=expires_at)
    return JsonResponse(fresh.model_dump(mode="json"), headers={"Cache-Control": "no-store"})


def delete_user_token(request: HttpRequest) -> HttpResponse:
    """Revoke the token that the request comes with. Raises InvalidToken and BothCredentials."""
    revoke(token_of(request))
    response = HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    del response.headers["Content-Type"]
    return response


def _logged_in(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise errors.NotLoggedIn
    _check_csrf(request)
    if not EmailAddress.objects.filter(user=request.user, verified=True).exists():
        raise errors.EmailNotVerified
    return request.user


def _check_csrf(request: HttpRequest) -> None:
    """Do what Django's middleware leaves out for the views of the API."""
    if check_csrf(request) is not None:
        raise errors.CsrfFailed


_ANSWER_HEADERS: Final = header_refs("X-Request-Id", "Cache-Control")

CREATE_OPERATION: Final[Json] = {
    "security": [{"session": [], "csrfToken": []}],
    "responses": {
        200: {"headers": _ANSWER_HEADERS},
        400: response_ref("BadRequest"),
        401: error_response(
            "Nobody is logged in.",
            {"not_logged_in": errors.NotLoggedIn()},
            "WWW-Authenticate",
            schemas=("Error",),
        ),
        403: error_response(
            "The CSRF token is missing or wrong, or the address is not verified.",
            {"csrf": errors.CsrfFailed(), "not_verified": errors.EmailNotVerified()},
            schemas=("Error",),
        ),
        405: response_ref("MethodNotAllowed"),
        413: response_ref("TooLarge"),
        500: response_ref("Internal"),
        503: response_ref("Unavailable"),
    },
}

REVOKE_OPERATION: Final[Json] = {
    "security": [{"userToken": []}],
    "responses": {
        204: {"description": "It is revoked.", "headers": _ANSWER_HEADERS},
        400: response_ref("BadRequest"),
        401: response_ref("Unauthorized"),
        405: response_ref("MethodNotAllowed"),
        413: response_ref("TooLarge"),
        500: response_ref("Internal"),
        503: response_ref("Unavailable"),
    },
}
