"""The app of what can be bought."""

from functools import partial
from typing import Any

from django.apps import AppConfig
from django.db import transaction
from django.db.models.signals import post_save


class BillingConfig(AppConfig):
    """Plans, credit packs, and what Stripe tells of who bought them."""

    name = "openrembg.server.billing"
    label = "billing"

    def ready(self) -> None:
        """Remember the prices of plans; let purchases wait no longer than an address does."""
        from allauth.account.models import EmailAddress

        from openrembg.server.billing.models import Plan

        post_save.connect(_on_plan, sender=Plan, dispatch_uid="openrembg.remember_price")
        post_save.connect(_on_address, sender=EmailAddress, dispatch_uid="openrembg.claim")


def _on_address(*, instance: Any, raw: bool, **_rest: Any) -> None:
    from openrembg.server.billing.linking import claim_all

    if instance.verified and not raw:
        transaction.on_commit(partial(claim_all, instance.email), robust=True)


def _on_plan(*, instance: Any, raw: bool, **_rest: Any) -> None:
    from openrembg.server.billing.models import PlanPrice

    if instance.stripe_price_id and not raw:
        facts = {"plan": instance}
        PlanPrice.objects.update_or_create(price_id=instance.stripe_price_id, defaults=facts)
