"""The pages of an account, each under the prefix of a language.

The pages of keys and tokens are named `account_keys` and `account_tokens`.
"""

from django.urls import include, path

from openrembg.server.accounts import views
from openrembg.server.accounts.dashboard import dashboard

urlpatterns = [
    path("", dashboard, name="account_home"),
    path("profile/", views.profile, name="account_profile"),
    path("export/", views.export, name="account_export"),
    path("delete/", views.delete, name="account_delete"),
    path("deleted/", views.deleted, name="account_deleted"),
    path("email/", views.AddressPage.as_view(), name="account_email"),
    path("", include("allauth.urls")),
]
