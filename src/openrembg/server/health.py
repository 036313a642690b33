"""Is the process alive, and can it answer with a picture?"""

from dataclasses import replace
from typing import Literal

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Schema

from openrembg.server import database
from openrembg.server.service import service


class Health(Schema):
    """The process is alive."""

    status: Literal["ok"]


class Readiness(Schema):
    """Whether pictures can come. `reason` says why not; the other three tell of the model."""

    status: Literal["loading", "ready", "failed"]
    model: str
    provider: str
    precision: str
    reason: str


def health(request: HttpRequest) -> Health:  # noqa: ARG001 (django-ninja gives it by name)
    """Answer while the process is alive."""
    return Health(status="ok")


def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 (see above)
    """Answer 200 once the model is warm and the database can be used, else 503 and why."""
    state = service().backend.state()
    if state.status == "ready" and (trouble := database.trouble()):
        state = replace(state, status="failed", reason=trouble)
    body = Readiness(
        status=state.status,
        model=state.model,
        provider=state.provider,
        precision=state.precision,
        reason=state.reason,
    )
    return JsonResponse(body.model_dump(), status=200 if state.status == "ready" else 503)
