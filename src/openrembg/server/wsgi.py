"""The WSGI application. Importing it begins to load the model, in the background."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openrembg.server.settings")

application = get_wsgi_application()

from openrembg.server.service import service  # noqa: E402 (Django has to be set up first)

service().backend.start()
