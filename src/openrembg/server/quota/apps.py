"""The app of limits and credits."""

from django.apps import AppConfig


class QuotaConfig(AppConfig):
    """Balances, usage windows and the ledger that they can be rebuilt from."""

    name = "openrembg.server.quota"
    label = "quota"
