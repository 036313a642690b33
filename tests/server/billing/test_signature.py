import datetime as dt

import pytest

from fakes.stripe_events import signature
from openrembg.server.billing.signature import TOLERANCE_S, verify
from openrembg.server.errors import BadSignature

AT = 1_767_960_000
NOW = dt.datetime.fromtimestamp(AT, dt.UTC)
SECRET = "whsec_test"
BODY = b'{"id": "evt_1"}'


def header(at: int = AT, secret: str = SECRET, body: bytes = BODY) -> str:
    return f"t={at},v1={signature(body, secret, at)}"


def test_the_body_is_returned_when_stripe_signed_it() -> None:
    assert verify(BODY, header(), SECRET, NOW) == BODY.decode()


@pytest.mark.parametrize("seconds", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_five_minutes_are_let_pass_either_way(seconds: int) -> None:
    assert verify(BODY, header(AT + seconds), SECRET, NOW)


@pytest.mark.parametrize("seconds", [-TOLERANCE_S - 1, TOLERANCE_S + 1])
def test_an_older_or_later_signature_is_refused(seconds: int) -> None:
    with pytest.raises(BadSignature):
        verify(BODY, header(AT + seconds), SECRET, NOW)


def test_one_right_signature_of_several_is_enough() -> None:
    other = header(secret="whsec_old")
    assert verify(BODY, f"{other},v1={signature(BODY, SECRET, AT)}", SECRET, NOW)


def test_an_old_delivery_is_not_made_new_by_a_second_moment() -> None:
    old = AT - 4000
    signed = signature(BODY, SECRET, old)
    for moments in (f"t={AT},t={old}", f" t={AT},t={old}", f"t={old},t={AT}", f"t ={AT},t={old}"):
        with pytest.raises(BadSignature):
            verify(BODY, f"{moments},v1={signed}", SECRET, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "t=",
        "t=abc,v1=00",
        f"t={AT}",
        f"t={AT},v1=",
        f"t={AT},v0={signature(BODY, SECRET, AT)}",
        f"t={AT},v1=é",
        f"v1={signature(BODY, SECRET, AT)}",
        f"t=+{AT},v1={signature(BODY, SECRET, AT)}",
        f"t={AT}0000000,v1=00",
        "=" * 10_000,
        "," * 10_000,
    ],
)
def test_a_header_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadSignature):
        verify(BODY, text, SECRET, NOW)


def test_another_secret_or_another_body_is_refused() -> None:
    with pytest.raises(BadSignature):
        verify(BODY, header(secret="whsec_other"), SECRET, NOW)
    with pytest.raises(BadSignature):
        verify(BODY + b" ", header(), SECRET, NOW)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadSignature):
        verify(b"\xff\xfe", header(body=b"\xff\xfe"), SECRET, NOW)
