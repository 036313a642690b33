"""POST and DELETE /api/user-token: a session's proof, a token's life, and nobody else's."""

import datetime as dt
import json
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from jsonschema import Draft202012Validator

from openrembg.server.accounts.keys import create_key, create_token, revoke
from openrembg.server.accounts.models import User, UserToken
from openrembg.server.accounts.signing_out import create_token_of_session
from openrembg.server.describe import openapi
from openrembg.server.description import SECURITY_SCHEMES
from openrembg.server.errors import NotLoggedIn

pytestmark = pytest.mark.usefixtures("database")

URL = "/api/user-token"
BOTH = "This is a mistake: Cannot use both API key and user token"


def a_user(email: str, *, is_verified: bool = True, **fields: Any) -> User:
    user = User.objects.create_user(email, **fields)
    EmailAddress.objects.create(user=user, email=email, verified=is_verified, primary=True)
    return user


@pytest.fixture
def ada() -> User:
    return a_user("ada@example.com")


def browser_of(user: User | None) -> Client:
    """Return a browser with the user's session, whose cookies are checked as the world's are."""
    browser = Client(enforce_csrf_checks=True, raise_request_exception=False)
    if user is not None:
        browser.force_login(user)
    return browser


def csrf_token(browser: Client) -> str:
    """Return what a page of ours would have given the browser."""
    request = RequestFactory().get("/")
    token = get_token(request)
    browser.cookies[settings.CSRF_COOKIE_NAME] = request.META["CSRF_COOKIE"]
    return token


def post(browser: Client, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.post(URL, headers={"X-CSRFToken": csrf_token(browser), **named})


def told(response: Any) -> tuple[int, str]:
    """Return an error's status and code; every error has the one shape."""
    body = json.loads(response.content)
    assert set(body) == {"error", "status", "code", "request_id"}
    assert body["status"] == response.status_code
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, body["code"]


def test_whoever_is_logged_in_gets_a_token(ada: User) -> None:
    response = post(browser_of(ada))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.json()
    token = UserToken.objects.get()
    assert set(body) == {"token", "expires_at"}
    assert token.user == ada
    assert body["token"].startswith(token.prefix)
    assert token.expires_at is not None
    assert dt.datetime.fromisoformat(body["expires_at"]) == token.expires_at.replace(microsecond=0)
    assert (token.expires_at - token.created_at).total_seconds() == 3600


def test_the_token_opens_the_account(ada: User) -> None:
    text = post(browser_of(ada)).json()["token"]
    stranger = browser_of(None)
    assert stranger.delete(URL, headers={"Authorization": f"Bearer {text}"}).status_code == 204


def test_the_answer_is_as_described(ada: User) -> None:
    described = json.loads(openapi())
    answer = described["paths"][URL]["post"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": described["components"]})
    validator.validate(post(browser_of(ada)).json())


def test_the_described_cookie_is_the_session_s() -> None:
    assert SECURITY_SCHEMES["session"]["name"] == settings.SESSION_COOKIE_NAME


def test_nobody_gets_no_token() -> None:
    response = post(browser_of(None))
    assert told(response) == (401, "not_logged_in")
    assert not UserToken.objects.exists()


def test_a_token_makes_no_token(ada: User) -> None:
    headers = {"Authorization": f"Bearer {create_token(ada)[1].text}"}
    assert told(post(browser_of(None), **headers)) == (401, "not_logged_in")


def test_a_key_makes_no_token(ada: User) -> None:
    assert told(post(browser_of(None), x_api_key=create_key(ada)[1].text)) == (401, "not_logged_in")


def test_who_is_not_verified_gets_no_token() -> None:
    eve = a_user("eve@example.com", is_verified=False)
    assert told(post(browser_of(eve))) == (403, "email_not_verified")
    assert not UserToken.objects.exists()


def test_an_inactive_user_gets_no_token(ada: User) -> None:
    browser = browser_of(ada)
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert told(post(browser)) == (401, "not_logged_in")


def test_a_session_that_ended_gets_no_token(ada: User) -> None:
    browser = browser_of(ada)
    browser.logout()
    assert told(post(browser)) == (401, "not_logged_in")


@pytest.mark.parametrize("token", ["", "abc", "0" * 64, "ä", "\0"])
def test_another_site_gets_no_token(ada: User, token: str) -> None:
    browser = browser_of(ada)
    csrf_token(browser)
    assert told(browser.post(URL, headers={"X-CSRFToken": token})) == (403, "csrf_failed")
    assert told(browser.post(URL)) == (403, "csrf_failed")
    assert not UserToken.objects.exists()


def test_a_csrf_token_of_somebody_else_is_no_proof(ada: User) -> None:
    mine, theirs = browser_of(ada), browser_of(None)
    csrf_token(mine)
    foreign = csrf_token(theirs)
    assert told(mine.post(URL, headers={"X-CSRFToken": foreign})) == (403, "csrf_failed")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example"]
)
def test_another_origin_is_refused_even_with_the_csrf_token(ada: User, origin: str) -> None:
    response = post(browser_of(ada), Origin=origin)
    assert told(response) == (403, "csrf_failed")
    assert not UserToken.objects.exists()


def test_our_own_origin_is_let_in(ada: User) -> None:
    assert post(browser_of(ada), Origin="http://testserver").status_code == 200


@pytest.mark.parametrize("origins", [("*",), ("https://partner.example",)])
def test_no_other_site_is_ever_allowed_credentials(
    ada: User, furnish: Any, origins: tuple[str, ...]
) -> None:
    furnish(cors_origins=origins)
    ask = {"Origin": "https://partner.example", "Access-Control-Request-Method": "POST"}
    for response in (browser_of(ada).options(URL, headers=ask), post(browser_of(ada), **ask)):
        assert "Access-Control-Allow-Credentials" not in response.headers
    assert not UserToken.objects.exists()


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"--x\r\ngarbage"),
        ("multipart/form-data", b"no boundary"),
        ("application/x-www-form-urlencoded", b"a=1&" * 2000),
        ("application/json", b"{"),
    ],
)
def test_a_body_that_cannot_be_read_is_no_proof(ada: User, kind: str, body: bytes) -> None:
    browser = browser_of(ada)
    csrf_token(browser)
    response = browser.generic("POST", URL, body, content_type=kind)
    assert response.status_code in (400, 403)
    assert not UserToken.objects.exists()


@pytest.mark.parametrize("method", ["get", "put", "patch"])
def test_other_methods_are_refused(ada: User, method: str) -> None:
    assert told(getattr(browser_of(ada), method)(URL)) == (405, "method_not_allowed")


def test_a_token_revokes_itself_and_no_other(ada: User) -> None:
    (token, secret), (other, _) = create_token(ada), create_token(ada)
    headers = {"Authorization": f"Bearer {secret.text}"}
    response = browser_of(None).delete(URL, headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Type" not in response.headers
    token.refresh_from_db()
    other.refresh_from_db()
    assert token.revoked_at is not None
    assert other.revoked_at is None
    assert told(browser_of(None).delete(URL, headers=headers)) == (401, "invalid_user_token")


def test_a_session_revokes_nothing(ada: User) -> None:
    token, _ = create_token(ada)
    browser = browser_of(ada)
    response = browser.delete(URL, headers={"X-CSRFToken": csrf_token(browser)})
    assert told(response) == (401, "invalid_user_token")
    token.refresh_from_db()
    assert token.revoked_at is None


def test_what_is_no_living_token_revokes_nothing(ada: User) -> None:
    token, secret = create_token(ada)
    revoke(token)
    for text in ("", "abc", secret.text):
        response = browser_of(None).delete(URL, headers={"Authorization": f"Bearer {text}"})
        assert told(response) == (401, "invalid_user_token")
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_key_beside_the_token_is_a_mistake(ada: User) -> None:
    headers = {"x-api-key": create_key(ada)[1].text}
    headers["Authorization"] = f"Bearer {create_token(ada)[1].text}"
    response = browser_of(None).delete(URL, headers=headers)
    assert told(response) == (400, "both_credentials")
    assert response.json()["error"] == BOTH


def test_signing_out_ends_what_the_session_got_and_nothing_else(ada: User) -> None:
    mine, elsewhere = browser_of(ada), browser_of(ada)
    gone = [post(mine).json()["token"], post(mine).json()["token"]]
    stays = [
        post(elsewhere).json()["token"],
        post(browser_of(a_user("eve@example.com"))).json()["token"],
        create_token(ada, "of the command line")[1].text,
    ]
    mine.post("/en/account/logout/", {"csrfmiddlewaretoken": csrf_token(mine)})
    for text in gone:
        response = browser_of(None).delete(URL, headers={"Authorization": f"Bearer {text}"})
        assert told(response) == (401, "invalid_user_token")
    for text in stays:
        response = browser_of(None).delete(URL, headers={"Authorization": f"Bearer {text}"})
        assert response.status_code == 204


def test_a_session_that_ends_meanwhile_gets_no_token(ada: User) -> None:
    browser = browser_of(ada)
    here = browser.session
    browser.logout()
    with pytest.raises(NotLoggedIn):
        create_token_of_session(ada, here)
    assert not UserToken.objects.exists()


def test_nothing_of_the_session_s_key_can_be_read_from_a_token(ada: User) -> None:
    browser = browser_of(ada)
    post(browser)
    assert str(browser.session.session_key) not in str(UserToken.objects.values().get())
