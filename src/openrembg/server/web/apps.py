"""The app of the admin pages."""

from django.contrib.admin.apps import SimpleAdminConfig


class OperatorsConfig(SimpleAdminConfig):
    """Django's admin app with our site.

    urls.py loads the pages: who only works on the database needs none.
    """

    default_site = "openrembg.server.web.operators.Operators"
