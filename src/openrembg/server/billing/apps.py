"""The app of what can be bought."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Plans."""

    name = "openrembg.server.billing"
    label = "billing"
