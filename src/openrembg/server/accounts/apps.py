"""The app of users and their credentials."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out


class AccountsConfig(AppConfig):
    """Users, API keys and user tokens."""

    name = "openrembg.server.accounts"
    label = "accounts"

    def ready(self) -> None:
        """Let signing out end what the session's pages got."""
        user_logged_out.connect(_on_log_out, dispatch_uid="openrembg.end_tokens")


def _on_log_out(**told: Any) -> None:
    from openrembg.server.accounts.signing_out import end_tokens

    end_tokens(**told)
