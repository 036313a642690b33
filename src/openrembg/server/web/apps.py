"""The app of the admin pages."""

from django.contrib.admin.apps import AdminConfig


class OperatorsConfig(AdminConfig):
    """Django's admin app with our site."""

    default_site = "openrembg.server.web.operators.Operators"
