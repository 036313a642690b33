import pytest
from django.test import RequestFactory

from openrembg.server.accounts.asking import Anonymous, who_is_asking
from openrembg.server.errors import BothCredentials, InvalidKey, InvalidToken


def ask(**headers: str) -> Anonymous:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return who_is_asking(RequestFactory().post("/rmbg", headers=named, REMOTE_ADDR="192.0.2.1"))


def test_nobody_special_is_anonymous() -> None:
    assert ask() == Anonymous("192.0.2.1/32")


@pytest.mark.parametrize("scheme", ["Basic dTpw", "Digest x", "", "Bearerx y", "Token abc"])
def test_other_schemes_are_no_user_token(scheme: str) -> None:
    assert ask(Authorization=scheme) == Anonymous("192.0.2.1/32")


@pytest.mark.parametrize("key", ["", " ", "abc"])
def test_every_key_is_unknown(key: str) -> None:
    with pytest.raises(InvalidKey):
        ask(x_api_key=key)


@pytest.mark.parametrize("token", ["Bearer", "Bearer abc", "BEARER abc", "bearer  abc"])
def test_every_token_is_unknown(token: str) -> None:
    with pytest.raises(InvalidToken):
        ask(Authorization=token)


@pytest.mark.parametrize("key", ["", "abc"])
def test_both_are_a_mistake(key: str) -> None:
    with pytest.raises(BothCredentials):
        ask(x_api_key=key, Authorization="Bearer abc")
