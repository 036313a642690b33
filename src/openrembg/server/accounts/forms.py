"""The forms of an account that are ours."""

from typing import Any

from allauth.account.adapter import get_adapter
from django import forms
from django.conf import settings
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from openrembg.server.accounts.models import User


def _languages() -> list[tuple[str, str]]:
    return [(code, get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES]


class LanguageForm(forms.Form):
    """Which language mails speak."""

    language = forms.ChoiceField(label=_("Language of mails"), choices=_languages)


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
        password: str = self.cleaned_data["password"]
        adapter = get_adapter()
        if not adapter.reauthenticate(self._user, password):
            raise adapter.validation_error("incorrect_password")
        return password
