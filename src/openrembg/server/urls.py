"""Which view answers which path."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path
from django.views.decorators.http import require_safe

from openrembg.server import answers
from openrembg.server.api import api
from openrembg.server.observability.exposition import metrics
from openrembg.server.web import editor, for_machines, refusals

# Before the addresses of its pages are asked for; see web/apps.py.
admin.autodiscover()

urlpatterns = [
    path("", editor.choose_language),
    path("favicon.ico", for_machines.favicon),
    path("robots.txt", for_machines.robots),
    path("metrics", require_safe(metrics), name="metrics"),
    path("", api.urls),
    path("admin/", admin.site.urls),
    *i18n_patterns(
        path("", include("openrembg.server.web.urls")),
        path("", include("openrembg.server.manual.urls")),
        path("account/", include("openrembg.server.accounts.key_urls")),
        path("account/", include("openrembg.server.billing.urls")),
        path("account/", include("openrembg.server.accounts.urls")),
    ),
]

handler400 = answers.bad_request
handler403 = refusals.forbidden
handler404 = answers.not_found
handler429 = refusals.too_many
handler500 = answers.server_error
