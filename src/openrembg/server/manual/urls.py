"""The developer documentation; server/urls.py puts it under each language."""

from django.urls import path

from openrembg.server.manual import pages

urlpatterns = [
    path("api-usage", pages.start, name="manual"),
    path("api-usage/<slug:name>", pages.page, name="manual_page"),
]
