"""Which view answers which path."""

from django.urls import path
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from openrembg.server import answers
from openrembg.server.api import api
from openrembg.server.observability.metrics import metrics

urlpatterns = [
    path("", require_safe(RedirectView.as_view(pattern_name="openrembg:openapi-view"))),
    path("metrics", require_safe(metrics), name="metrics"),
    path("", api.urls),
]

handler400 = answers.bad_request
handler404 = answers.not_found
handler500 = answers.server_error
