"""POST /api/webhooks/stripe: what Stripe tells. It is answered from the event alone."""

from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field

from openrembg.server.billing.events import read_event
from openrembg.server.billing.inbox import receive
from openrembg.server.billing.signature import verify
from openrembg.server.description import error_response, header_refs, response_ref
from openrembg.server.errors import BadSignature, NotAnEvent, NotFound
from openrembg.server.observability.metrics import count_stripe_event


class Received(BaseModel):
    """An event has arrived, now or before."""

    model_config = ConfigDict(json_schema_extra={"example": {"received": True}})

    received: bool = Field(description="Always true.")


def stripe_webhook(request: HttpRequest) -> HttpResponse:
    """Keep an event that Stripe signed and let it take effect, once.

    Raises NotFound without a secret, BadSignature and NotAnEvent. A database that does not answer
    is told as 503, after which Stripe sends the event again.
    """
    secret: str | None = settings.OPENREMBG.stripe_webhook_secret
    if secret is None:
        raise NotFound
    now = timezone.now()
    try:
        text = verify(request.body, request.headers.get("Stripe-Signature", ""), secret, now)
        event = read_event(text)
    except (BadSignature, NotAnEvent) as error:
        count_stripe_event("unsigned" if isinstance(error, BadSignature) else "unreadable")
        raise
    if receive(event, text, now):
        count_stripe_event("new", lag_s=now.timestamp() - event.created)
    else:
        count_stripe_event("repeated")
    return JsonResponse({"received": True}, headers={"Cache-Control": "no-store"})


DESCRIPTION: Final = (
    "For Stripe: events about subscriptions, invoices, Checkout, refunds and disputes. The "
    "signature is verified; each event takes effect once, in whatever order they come."
)
_SIGNATURE: Final[dict[str, Any]] = {
    "name": "Stripe-Signature",
    "in": "header",
    "required": True,
    "description": "When it was signed and one or more v1 signatures of the body.",
    "schema": {"type": "string"},
    "example": "t=1763740800,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
}
OPERATION: Final[dict[str, Any]] = {
    "parameters": [_SIGNATURE],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "responses": {
        200: {"headers": header_refs("X-Request-Id", "Cache-Control")},
        400: error_response(
            "Stripe did not sign this, or not within five minutes of now; or it is no event.",
            {"signature": BadSignature(), "event": NotAnEvent()},
            schemas=("Error",),
        ),
        404: error_response(
            "This server takes no webhooks.", {"not_found": NotFound()}, schemas=("Error",)
        ),
        405: response_ref("MethodNotAllowed"),
        413: response_ref("TooLarge"),
        500: response_ref("Internal"),
        503: response_ref("Unavailable"),
    },
}
