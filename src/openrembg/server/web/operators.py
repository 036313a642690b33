"""The admin pages: for staff who have used a second factor in this session, and nobody else."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _


class Operators(AdminSite):
    """Django's admin behind our own log-in, with its limits on attempts."""

    site_title = _("openrembg administration")
    site_header = _("openrembg administration")
    index_title = _("Overview")

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether somebody is staff and has used a second factor in this session."""
        if not super().has_permission(request):
            return False
        return has_second_factor(request) and has_used_second_factor(request)

    def login(
        self,
        request: HttpRequest,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Send somebody to the next thing that they still lack, and from there back."""
        wanted = get_next_redirect_url(request) or reverse("admin:index")
        if not request.user.is_authenticated:
            return _away("account_login", wanted)
        if not super().has_permission(request):
            raise PermissionDenied
        if not has_second_factor(request):
            return redirect("mfa_activate_totp")
        if not has_used_second_factor(request):
            return _away("mfa_reauthenticate", wanted)
        return redirect(wanted)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Answer with the overview, which says first what waits for an operator."""
        # Not before: it needs the models, which are not there when this module is imported.
        from openrembg.server.billing.stripe_admin import notices

        for notice in notices():
            messages.warning(request, notice)
        return super().index(request, extra_context)

    def password_change(  # type: ignore[override]
        self,
        request: HttpRequest,  # noqa: ARG002
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> HttpResponse:
        """Lead to the page where everybody changes their password."""
        return redirect("account_change_password")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register a model, but none that opens accounts: second factors and addresses."""
        if model_or_iterable in (EmailAddress, Authenticator, (Authenticator,)):
            return
        super().register(model_or_iterable, admin_class, **options)


if TYPE_CHECKING:  # Django's own class takes no parameters.
    RowAdmin = ModelAdmin[Model]
else:
    RowAdmin = ModelAdmin


class ReadOnly(RowAdmin):
    """Rows that the admin pages show and never change."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return that nobody may."""
        return False

    def has_change_permission(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Model | None = None,  # noqa: ARG002
    ) -> bool:
        """Return that nobody may."""
        return False

    def has_delete_permission(
        self,
        request: HttpRequest,  # noqa: ARG002
        obj: Model | None = None,  # noqa: ARG002
    ) -> bool:
        """Return that nobody may."""
        return False


def moment(second: int) -> str:
    """Return a moment in Unix seconds as the lists show it, in UTC."""
    return f"{dt.datetime.fromtimestamp(second, dt.UTC):%Y-%m-%d %H:%M}"


def has_second_factor(request: HttpRequest) -> bool:
    """Return whether an authenticator app belongs to the account."""
    kind = Authenticator.Type.TOTP
    return bool(Authenticator.objects.filter(user_id=request.user.pk, type=kind).exists())


def has_used_second_factor(request: HttpRequest) -> bool:
    """Return whether a code of the app, or a recovery code, was given in this session."""
    records = get_authentication_records(request, request.user)
    return any(record["method"] == "mfa" for record in records)


def _away(name: str, wanted: str) -> HttpResponse:
    return redirect(f"{reverse(name)}?{urlencode({'next': wanted})}")
