"""The pages of plans, credits and purchases; server/urls.py puts them under account/."""

from django.urls import path

from openrembg.server.billing import pages

urlpatterns = [
    path("billing/", pages.billing, name="account_billing"),
    path("billing/plans/<int:pk>/buy", pages.buy_plan, name="account_buy_plan"),
    path("billing/packs/<int:pk>/buy", pages.buy_pack, name="account_buy_pack"),
    path("billing/portal", pages.portal, name="account_portal"),
    path("billing/success", pages.success, name="account_bought"),
    path("billing/success/state", pages.purchase_state, name="account_purchase_state"),
    path("billing/cancelled", pages.cancelled, name="account_not_bought"),
]
