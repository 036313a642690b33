"""Who is asking: decided from the request's headers alone; cookies say nothing here."""

from dataclasses import dataclass

from django.http import HttpRequest

from openrembg.server.accounts.address import client_block
from openrembg.server.errors import BothCredentials, InvalidKey, InvalidToken


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Somebody without an account, known by the network they come from."""

    block: str


def who_is_asking(request: HttpRequest) -> Anonymous:
    """Return the caller.

    Raises BothCredentials for a key and a user token at once, InvalidKey and InvalidToken for
    any one of them: this server has no accounts yet. `Authorization: Basic` is no user token.
    """
    key = request.headers.get("X-Api-Key")
    scheme = request.headers.get("Authorization", "").strip().partition(" ")[0]
    has_token = scheme.lower() == "bearer"
    if key is not None and has_token:
        raise BothCredentials
    if key is not None:
        raise InvalidKey
    if has_token:
        raise InvalidToken
    return Anonymous(client_block(request))
