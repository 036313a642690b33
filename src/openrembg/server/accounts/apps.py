"""The app of users and their credentials."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, API keys and user tokens."""

    name = "openrembg.server.accounts"
    label = "accounts"
