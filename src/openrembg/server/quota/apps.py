"""The app of limits and credits."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_delete, post_save


class QuotaConfig(AppConfig):
    """Balances, usage windows and the ledger that they can be rebuilt from."""

    name = "openrembg.server.quota"
    label = "quota"

    def ready(self) -> None:
        """Give each new user a balance, and let Redis tell of what no ledger entry tells."""
        from openrembg.server.accounts.models import User
        from openrembg.server.billing.models import Plan
        from openrembg.server.quota.models import Balance

        post_save.connect(_on_user, sender=User, dispatch_uid="openrembg.open_account")
        post_save.connect(_on_plan, sender=Plan, dispatch_uid="openrembg.publish_plan")
        post_save.connect(_on_balance, sender=Balance, dispatch_uid="openrembg.publish_new")
        post_delete.connect(_on_balance, sender=Balance, dispatch_uid="openrembg.forget")


def _on_user(*, instance: Any, created: bool, raw: bool, **_rest: Any) -> None:
    from openrembg.server.quota.ledger import open_account

    if created and not raw:
        open_account(instance.pk)


def _on_plan(*, instance: Any, created: bool, raw: bool, **_rest: Any) -> None:
    from openrembg.server.quota.publish_later import publish_plan_after_commit

    if not created and not raw:
        publish_plan_after_commit(instance.pk)


def _on_balance(*, instance: Any, created: bool = True, **_rest: Any) -> None:
    """Publish an account that begins or ends; in between, the ledger does."""
    from openrembg.server.quota.publish_later import publish_after_commit

    if created:
        publish_after_commit(instance.pk)
