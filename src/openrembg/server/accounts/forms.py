"""The forms of an account that are ours."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import (
    AddEmailForm,
    ChangePasswordForm,
    ResetPasswordForm,
    SignupForm,
)
from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.address_change import ask_to_confirm
from openrembg.server.accounts.models import User
from openrembg.server.accounts.ownership import owners


def languages() -> list[tuple[str, str]]:
    """Return the languages to choose from, each by its own name."""
    return [(code, get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES]


class ProfileForm(forms.Form):
    """Which language pages and mails speak, and which mails come."""

    language = forms.ChoiceField(label=_("Language of pages and mails"), choices=languages)
    usage_mails = forms.BooleanField(
        label=_("Mails about my usage"),
        required=False,
        help_text=_(
            "One mail when 80 percent of the included credits are used, and one when all are."
        ),
    )


class PasswordForm(forms.Form):
    """The password once more. Wrong ones count as failed log-ins do."""

    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )

    def __init__(self, user: User, data: Any = None) -> None:
        super().__init__(data)
        self._user = user

    def clean_password(self) -> str:
        """Refuse a password that is not the user's."""
        return _checked(self._user, self.cleaned_data["password"], "incorrect_password")


class NewPasswordForm(ChangePasswordForm):  # type: ignore[misc]  # (allauth has no types)
    """The old password and a new one. Wrong old ones count as failed log-ins do."""

    def clean_oldpassword(self) -> str:
        """Refuse a password that is not the user's."""
        return _checked(self.user, self.cleaned_data["oldpassword"], "enter_current_password")


class SignUpForm(SignupForm):  # type: ignore[misc]  # (allauth has no types)
    """An address and a password for a new account."""

    def validate_unique_email(self, value: str) -> str:
        """Remember whether the address is somebody's already; a wish to have it is not enough."""
        self.account_already_exists = bool(owners(value))
        return str(get_adapter().validate_unique_email(value))


class ForgottenPasswordForm(ResetPasswordForm):  # type: ignore[misc]  # (allauth has no types)
    """The address of an account whose password shall be a new one."""

    def clean_email(self) -> str:
        """Find whose address it is."""
        email: str = super().clean_email()
        self.users = [user for user in owners(email) if user.is_active]
        return email


class NewAddressForm(AddEmailForm):  # type: ignore[misc]  # (allauth has no types)
    """The address that an account shall have instead of its own."""

    def save(self, request: HttpRequest) -> EmailAddress:
        """Keep the address until its link is followed, and mail the link."""
        wanted = self.cleaned_data["email"]
        address = EmailAddress.objects.add_new_email(
            request, self.user, wanted, send_verification=False
        )
        ask_to_confirm(request, address)
        return address


def _checked(user: User, password: str, error: str) -> str:
    adapter = get_adapter()
    if not adapter.reauthenticate(user, password):
        raise adapter.validation_error(error)
    return password
