"""Every route there is, and what it answers nobody, its owner, another user and staff.

A new route has to be entered here: that is the point.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rmbg_client import send

from openrembg.server.accounts.models import User
from people import Person, person

pytestmark = pytest.mark.usefixtures("database")

# The status of a GET, for nobody, the owner of what is named, another user, staff. Staff have no
# password here and none of them a second factor, which shows on the pages about them.
Statuses = tuple[int, int, int, int]
OPEN: Final[Statuses] = (200, 200, 200, 200)
ELSEWHERE: Final[Statuses] = (302, 302, 302, 302)
ONES_OWN: Final[Statuses] = (302, 200, 200, 200)
SOMEBODYS: Final[Statuses] = (302, 200, 404, 404)
POSTED: Final[Statuses] = (302, 405, 405, 405)
STRANGERS: Final[Statuses] = (200, 302, 302, 302)
NO_GET: Final[Statuses] = (405, 405, 405, 405)
WITH_KEY: Final[Statuses] = (401, 401, 401, 401)
WITH_FACTOR: Final[Statuses] = (302, 404, 404, 404)

ROUTES: Final[dict[str, Statuses]] = {
    "/": ELSEWHERE,
    "/favicon.ico": ELSEWHERE,
    "/robots.txt": OPEN,
    "/en/": OPEN,
    "/en/left": OPEN,
    "/en/plans": OPEN,
    "/en/api-usage": OPEN,
    "/en/api-usage/<slug:name>": OPEN,
    "/metrics": OPEN,
    "/health": OPEN,
    "/ready": OPEN,
    "/api/openapi": OPEN,
    "/api/docs": OPEN,
    "/rmbg": NO_GET,
    "/rmbg/": NO_GET,
    "/api/rmbg": NO_GET,
    "/api/rmbg/": NO_GET,
    "/api/membership-usage": WITH_KEY,
    "/api/membership-usage/": WITH_KEY,
    "/api/user-token": NO_GET,
    "/api/webhooks/stripe": NO_GET,
    "/api/webhooks/stripe/": NO_GET,
    "/en/account/": ONES_OWN,
    "/en/account/billing/": ONES_OWN,
    "/en/account/billing/plans/<int:pk>/buy": ELSEWHERE,
    "/en/account/billing/packs/<int:pk>/buy": ELSEWHERE,
    "/en/account/billing/portal": ELSEWHERE,
    "/en/account/billing/success": ONES_OWN,
    "/en/account/billing/success/state": ONES_OWN,
    "/en/account/billing/cancelled": ONES_OWN,
    "/en/account/keys": ONES_OWN,
    "/en/account/keys/<int:pk>": SOMEBODYS,
    "/en/account/keys/<int:pk>/rotate": SOMEBODYS,
    "/en/account/keys/<int:pk>/revoke": SOMEBODYS,
    "/en/account/tokens": ONES_OWN,
    "/en/account/tokens/revoke": POSTED,
    "/en/account/tokens/<int:pk>/revoke": POSTED,
    "/en/account/profile/": ONES_OWN,
    "/en/account/export/": ONES_OWN,
    "/en/account/delete/": ONES_OWN,
    "/en/account/deleted/": OPEN,
    "/en/account/login/": STRANGERS,
    "/en/account/logout/": ONES_OWN,
    "/en/account/inactive/": OPEN,
    "/en/account/signup/": STRANGERS,
    "/en/account/reauthenticate/": (302, 200, 200, 403),
    "/en/account/email/": ONES_OWN,
    "/en/account/confirm-email/": OPEN,
    "/en/account/^confirm-email/(?P<key>[-:\\w]+)/$": OPEN,
    "/en/account/password/change/": (302, 200, 200, 302),
    "/en/account/password/set/": (302, 302, 302, 200),
    "/en/account/password/reset/": OPEN,
    "/en/account/password/reset/done/": OPEN,
    "/en/account/password/reset/key/done/": OPEN,
    "/en/account/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": OPEN,
    "/en/account/login/code/confirm/": ELSEWHERE,
    "/en/account/2fa/": ONES_OWN,
    "/en/account/2fa/authenticate/": ELSEWHERE,
    "/en/account/2fa/reauthenticate/": (302, 302, 302, 403),
    "/en/account/2fa/totp/activate/": (302, 302, 302, 200),
    "/en/account/2fa/totp/deactivate/": WITH_FACTOR,
    "/en/account/2fa/recovery-codes/": WITH_FACTOR,
    "/en/account/2fa/recovery-codes/generate/": (302, 302, 302, 200),
    "/en/account/2fa/recovery-codes/download/": WITH_FACTOR,
}


def routes(resolver: URLResolver, prefix: str = "/") -> Iterator[str]:
    """Yield the path of every route, as Django writes it."""
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield path
        else:
            yield from routes(pattern, path)


def gets(client: Client, path: str) -> int:
    return int(client.get(path).status_code)


def visitors(ada: Person) -> list[Client]:
    bob = person("bob@example.com")
    staff = User.objects.create_user("staff@example.com", is_staff=True, is_superuser=True)
    clients = [Client(raise_request_exception=False) for _ in range(4)]
    for client, user in zip(clients[1:], (ada.user, bob.user, staff), strict=True):
        client.force_login(user)
    return clients


def filled(path: str, ada: Person) -> str:
    """Return a path with Ada's numbers in it."""
    number = ada.user.usertokens.get().pk if "tokens" in path else ada.key.pk
    path = path.replace("<int:pk>", str(number)).replace("<slug:name>", "curl")
    path = path.replace("^confirm-email/(?P<key>[-:\\w]+)/$", "confirm-email/none/")
    return path.replace(
        "^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$", "password/reset/key/1-none/"
    )


def test_every_route_lets_in_whom_it_should() -> None:
    ada = person()
    clients = visitors(ada)
    found = {path for path in routes(get_resolver()) if not path.startswith("/admin/")}
    answered = {
        path: tuple(gets(client, filled(path, ada)) for client in clients) for path in sorted(found)
    }
    assert answered == ROUTES


def test_no_admin_page_opens_without_a_second_factor() -> None:
    ada = person()
    nobody, owner, another, staff = visitors(ada)
    pages = [path for path in routes(get_resolver()) if path.startswith("/admin/")]
    assert len(pages) > 30
    for page in pages:
        path = page.replace("<path:object_id>", str(ada.user.pk)).replace("<id>", "1")
        for client in (nobody, owner, another, staff):
            assert gets(client, path) in (302, 403, 404, 405), path


@pytest.mark.parametrize("method", ["post", "delete"])
def test_a_session_alone_changes_nothing_of_anothers(method: str) -> None:
    ada = person()
    _, _, another, staff = visitors(ada)
    token = ada.user.usertokens.get()
    for client in (another, staff):
        for path in (
            f"/en/account/keys/{ada.key.pk}",
            f"/en/account/keys/{ada.key.pk}/rotate",
            f"/en/account/keys/{ada.key.pk}/revoke",
            f"/en/account/tokens/{token.pk}/revoke",
        ):
            assert getattr(client, method)(path).status_code in (404, 405)
    assert ada.user.apikeys.get(revoked_at=None).digest == ada.key.digest
    assert ada.user.usertokens.get(revoked_at=None) == token


def test_a_session_pays_nothing_and_reads_no_usage() -> None:
    ada = person()
    _, owner, _, staff = visitors(ada)
    for client in (owner, staff):
        assert send(client).headers["X-Credits-Source"] == "anonymous"
        assert gets(client, "/api/membership-usage") == 401
