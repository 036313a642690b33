"""The pages for everybody; server/urls.py puts them under each language."""

from django.urls import path

from openrembg.server.billing.plans_page import plans
from openrembg.server.web import editor

urlpatterns = [
    path("", editor.editor, name="editor"),
    path("left", editor.left, name="editor_left"),
    path("plans", plans, name="plans"),
]
