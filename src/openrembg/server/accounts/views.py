"""The pages of an account that are ours; the others are django-allauth's."""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.account.views import EmailView
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_http_methods, require_safe

from openrembg.server.accounts.address_change import ask_to_confirm
from openrembg.server.accounts.deletion import NotDeleted, delete_account
from openrembg.server.accounts.export import pieces
from openrembg.server.accounts.forms import PasswordForm, ProfileForm
from openrembg.server.accounts.keys import alive
from openrembg.server.accounts.models import User, UserToken
from openrembg.server.billing.money import number


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show how an account is opened; let its owner choose the language and which mails come."""
    user = _owner(request)
    chosen = {"language": user.language, "usage_mails": user.usage_mails}
    form = ProfileForm(request.POST or None, initial=chosen)
    if request.method == "POST" and form.is_valid():
        return _saved(request, user, form)
    context = {
        "form": form,
        "has_second_factor": is_mfa_enabled(user),
        "tokens": number(alive(UserToken, user).count()),
    }
    return render(request, "account/profile.html", context)


class AddressPage(EmailView):  # type: ignore[misc]  # (allauth has no types)
    """allauth's page of the address, which also says when it sent no mail."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Send the link to the new address again, or do what allauth does."""
        if "action_send" not in request.POST:
            answer: HttpResponse = super().post(request, *args, **kwargs)
            return answer
        wanted = EmailAddress.objects.get_new(request.user)
        if wanted is not None and wanted.email == request.POST.get("email", "").lower():
            ask_to_confirm(request, wanted)
        return redirect("account_email")


@login_required
@require_http_methods(["GET", "POST"])
def export(request: HttpRequest) -> HttpResponseBase:
    """Explain the export; answer a POST with everything that is known of an account, as JSON."""
    if request.method == "GET":
        return render(request, "account/export.html")
    answer = StreamingHttpResponse(pieces(_owner(request)), content_type="application/json")
    answer.headers["Content-Disposition"] = 'attachment; filename="openrembg-account.json"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest) -> HttpResponse:
    """Say what is deleted and what remains; delete the account when the password is given."""
    user = _owner(request)
    form = PasswordForm(user, request.POST or None)
    if request.method == "POST" and form.is_valid() and _is_deleted(user, form):
        logout(request)
        return redirect("account_deleted")
    return render(request, "account/delete.html", {"form": form})


@require_safe
def deleted(request: HttpRequest) -> HttpResponse:
    """Say that an account is gone."""
    return render(request, "account/deleted.html")


def _saved(request: HttpRequest, user: User, form: ProfileForm) -> HttpResponse:
    """Keep what a profile's form says, and lead to the page in the chosen language."""
    user.language = form.cleaned_data["language"]
    user.usage_mails = form.cleaned_data["usage_mails"]
    user.save(update_fields=["language", "usage_mails"])
    with override(user.language):
        messages.success(request, _("Your profile is saved."))
        return redirect("account_profile")


def _is_deleted(user: User, form: PasswordForm) -> bool:
    """Delete an account; where that cannot be, let the form say why."""
    try:
        delete_account(user)
    except NotDeleted as error:
        form.add_error(None, str(error))
        return False
    return True


def _owner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 (login_required has seen to that)
    return request.user
