import time
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from test_export import furnished
from test_second_factor import give_code, switch_on
from visits import is_in, log_in, prove_again, text_of, totp

from openrembg.server.accounts.models import ApiKey, User

pytestmark = [
    pytest.mark.usefixtures("database", "quick_passwords"),
    # Who gets in is the same on every database.
    pytest.mark.parametrize("prepared_database", ["sqlite"], indirect=True),
]

PAGES = [
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/user/1/change/",
    "/admin/accounts/apikey/",
    "/admin/jsi18n/",
    "/admin/password_change/",
    "/admin/nothing/",
]


def staff_who_used_their_app(client: Client, new_user: Any) -> User:
    user: User = new_user(is_staff=True, is_superuser=True)
    log_in(client)
    secret = switch_on(client)
    with time_machine.travel(time.time() + 60, tick=True):
        client.post("/en/account/2fa/reauthenticate/", {"code": totp(secret)})
    return user


@pytest.mark.parametrize("page", PAGES)
def test_nobody_is_sent_to_log_in(client: Client, page: str) -> None:
    answer = client.get(page, follow=True)
    assert "/account/login/?next=" in answer.redirect_chain[-1][0]
    assert "Administration" not in text_of(answer)


@pytest.mark.parametrize("page", PAGES)
def test_a_user_who_is_not_staff_is_refused(client: Client, new_user: Any, page: str) -> None:
    new_user()
    log_in(client)
    assert client.get(page, follow=True).status_code == 403


@pytest.mark.parametrize("page", PAGES)
def test_staff_without_a_second_factor_are_sent_to_set_one_up(
    client: Client, new_user: Any, page: str
) -> None:
    new_user(is_staff=True, is_superuser=True)
    log_in(client)
    prove_again(client)
    answer = client.get(page, follow=True)
    assert answer.redirect_chain[-1][0] == "/en/account/2fa/totp/activate/"


@pytest.mark.parametrize("page", PAGES)
def test_staff_who_have_not_used_it_in_this_session_give_a_code_first(
    client: Client, new_user: Any, page: str
) -> None:
    new_user(is_staff=True, is_superuser=True)
    log_in(client)
    switch_on(client)
    answer = client.get(page, follow=True)
    assert answer.redirect_chain[-1][0].startswith("/en/account/2fa/reauthenticate/?next=")


def test_staff_with_a_second_factor_get_in_and_land_where_they_wanted(
    client: Client, new_user: Any
) -> None:
    new_user(is_staff=True, is_superuser=True)
    log_in(client)
    secret = switch_on(client)
    visitor = Client()
    answer = visitor.get("/admin/accounts/user/", follow=True)
    form = {"login": "ada@example.com", "password": "three blind mice run"}
    visitor.post(answer.redirect_chain[-1][0], form | {"next": "/admin/accounts/user/"})
    with time_machine.travel(time.time() + 60, tick=True):
        answer = give_code(visitor, totp(secret))
    assert answer.headers["Location"] == "/admin/accounts/user/"
    assert "ada@example.com" in text_of(visitor.get("/admin/accounts/user/"))


def test_the_page_for_the_code_offers_no_password_where_none_helps(
    client: Client, new_user: Any
) -> None:
    new_user(is_staff=True, is_superuser=True)
    log_in(client)
    switch_on(client)
    page = client.get("/admin/accounts/user/", follow=True)
    assert "Enter an authenticator code" in text_of(page)
    assert "Use your password" not in text_of(page)
    page = client.get("/en/account/2fa/reauthenticate/?next=/en/account/email/")
    assert "Use your password" in text_of(page)


def test_switching_the_factor_off_shuts_the_admin_pages(client: Client, new_user: Any) -> None:
    staff_who_used_their_app(client, new_user)
    assert client.get("/admin/").status_code == 200
    client.post("/en/account/2fa/totp/deactivate/")
    assert client.get("/admin/").status_code == 302


def test_staff_who_are_dismissed_are_out_at_once(client: Client, new_user: Any) -> None:
    user = staff_who_used_their_app(client, new_user)
    user.is_staff = False
    user.save()
    assert client.get("/admin/accounts/user/", follow=True).status_code == 403


def test_every_page_of_the_admin_works_and_shows_no_secret(client: Client, new_user: Any) -> None:
    user = staff_who_used_their_app(client, new_user)
    furnished(user)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        assert client.get(reverse(name)).status_code == 200, name
    key = ApiKey.objects.get()
    pages = [
        client.get(reverse("admin:accounts_user_change", args=[user.pk])),
        client.get(reverse("admin:accounts_apikey_change", args=[key.pk])),
    ]
    for page in pages:
        assert page.status_code == 200
        assert user.password not in text_of(page)
        assert key.digest not in text_of(page)
    assert client.post(reverse("admin:accounts_apikey_delete", args=[key.pk])).status_code == 403


@pytest.mark.parametrize("page", ["mfa/authenticator/", "account/emailaddress/"])
def test_what_opens_accounts_is_no_admin_page(client: Client, new_user: Any, page: str) -> None:
    staff_who_used_their_app(client, new_user)
    assert client.get(f"/admin/{page}").status_code == 404


def test_staff_cannot_make_themselves_superusers(client: Client, new_user: Any) -> None:
    user = clerk(client, new_user)
    url = reverse("admin:accounts_user_change", args=[user.pk])
    form = {
        "language": "fa",
        "is_active": "on",
        "is_superuser": "on",
        "emailaddress_set-TOTAL_FORMS": "0",
        "emailaddress_set-INITIAL_FORMS": "0",
    }
    assert client.post(url, form).status_code == 302
    user.refresh_from_db()
    assert (user.language, user.is_superuser) == ("fa", False)


def clerk(client: Client, new_user: Any) -> User:
    """Staff who may do everything with users, and are no superuser."""
    user = staff_who_used_their_app(client, new_user)
    user.is_superuser = False
    user.save()
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="accounts"))
    return user


def test_staff_cannot_change_or_delete_a_superuser(client: Client, new_user: Any) -> None:
    clerk(client, new_user)
    chief = new_user("chief@example.com", is_staff=True, is_superuser=True)
    bob = new_user("bob@example.com")
    url = reverse("admin:accounts_user_change", args=[chief.pk])
    assert client.post(url, {"language": "fa"}).status_code == 403
    away = reverse("admin:accounts_user_delete", args=[chief.pk])
    assert client.post(away, {"post": "yes"}).status_code == 403
    form = {"action": "delete_selected", "_selected_action": [chief.pk, bob.pk], "post": "yes"}
    client.post(reverse("admin:accounts_user_changelist"), form)
    chief.refresh_from_db()
    assert (chief.is_active, chief.language) == (True, "en")
    assert client.get(reverse("admin:accounts_user_change", args=[bob.pk])).status_code == 200


def test_a_superuser_changes_another(client: Client, new_user: Any) -> None:
    staff_who_used_their_app(client, new_user)
    chief = new_user("chief@example.com", is_staff=True, is_superuser=True)
    form = {
        "language": "fa",
        "is_staff": "on",
        "emailaddress_set-TOTAL_FORMS": "0",
        "emailaddress_set-INITIAL_FORMS": "0",
    }
    client.post(reverse("admin:accounts_user_change", args=[chief.pk]), form)
    chief.refresh_from_db()
    assert (chief.is_active, chief.is_superuser, chief.language) == (False, False, "fa")


def test_a_user_s_language_is_one_of_ours(client: Client, new_user: Any) -> None:
    user = staff_who_used_their_app(client, new_user)
    url = reverse("admin:accounts_user_change", args=[user.pk])
    assert '<option value="ko">한국어</option>' in text_of(client.get(url))
    assert client.post(url, {"language": "xx"}).status_code == 200
    user.refresh_from_db()
    assert user.language == "en"


def test_a_balance_is_called_by_its_owner_s_address(client: Client, new_user: Any) -> None:
    staff_who_used_their_app(client, new_user)
    bob = new_user("bob@example.com")
    page = client.get(reverse("admin:quota_balance_change", args=[bob.pk]))
    assert "<h2>bob@example.com</h2>" in text_of(page)


def test_the_log_in_page_of_django_is_not_there(client: Client, new_user: Any) -> None:
    new_user(is_staff=True, is_superuser=True)
    form = {"username": "ada@example.com", "password": "three blind mice run"}
    answer = client.post("/admin/login/", form)
    assert answer.status_code == 302
    assert not is_in(client)
