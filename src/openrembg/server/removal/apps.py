"""The app of POST /rmbg."""

from django.apps import AppConfig


class RemovalConfig(AppConfig):
    """Answers that are kept for retries."""

    name = "openrembg.server.removal"
    label = "removal"
