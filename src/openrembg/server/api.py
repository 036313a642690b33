"""The API object: its routes, and the one error mapper for all of them."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

import openrembg.server.quota.description as usage
import openrembg.server.removal.description as rmbg
from openrembg.server import description
from openrembg.server.accounts import token_endpoints
from openrembg.server.answers import error_answer
from openrembg.server.billing import webhooks
from openrembg.server.console import Console
from openrembg.server.health import Health, Readiness, health, ready
from openrembg.server.quota.membership import membership_usage
from openrembg.server.removal.endpoints import remove_background


class Api(NinjaAPI):
    """A NinjaAPI whose description has our own components and servers."""

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        """Return the OpenAPI 3.1 description as this server's settings make it."""
        schema = super().get_openapi_schema(**kwargs)
        schema["servers"] = description.servers(settings.OPENREMBG.public_url)
        components = schema["components"]
        components["schemas"] |= description.SCHEMAS | usage.SCHEMAS
        components |= {
            "headers": description.HEADERS,
            "parameters": description.PARAMETERS,
            "responses": description.RESPONSES,
            "securitySchemes": description.SECURITY_SCHEMES,
        }
        return schema


api = Api(
    title=description.TITLE,
    version=description.VERSION,
    description=description.DESCRIPTION,
    openapi_url="/api/openapi",
    docs_url="/api/docs",
    docs=Console(),
    docs_decorator=require_safe,
    urls_namespace="openrembg",
    openapi_extra={
        "info": {"license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "tags": description.TAGS,
    },
)


@api.exception_handler(Exception)
def on_exception(request: HttpRequest, error: Exception) -> HttpResponse:
    """Answer whatever a route raised."""
    return error_answer(request, error)


api.post(
    "/rmbg",
    operation_id="removeBackground",
    summary="Remove the background of a picture",
    description=rmbg.DESCRIPTION,
    tags=["Background removal"],
    openapi_extra=rmbg.OPERATION,
)(remove_background)

for alias in ("/rmbg/", "/api/rmbg", "/api/rmbg/"):
    api.post(alias, include_in_schema=False)(remove_background)

api.get(
    "/api/membership-usage",
    operation_id="membershipUsage",
    summary="What the account has and has used",
    description=usage.DESCRIPTION,
    tags=["Account"],
    openapi_extra=usage.OPERATION,
)(membership_usage)

api.get("/api/membership-usage/", include_in_schema=False)(membership_usage)

api.post(
    "/api/user-token",
    operation_id="createUserToken",
    summary="Get a user token for the session",
    description="For the pages of this site alone: whoever is logged in gets a short-lived token.",
    tags=["Account"],
    response=token_endpoints.FreshToken,
    openapi_extra=token_endpoints.CREATE_OPERATION,
)(token_endpoints.post_user_token)

api.delete(
    "/api/user-token",
    operation_id="revokeUserToken",
    summary="Revoke the user token that is sent",
    description="The token stops working in every process at once.",
    tags=["Account"],
    response={204: None},
    openapi_extra=token_endpoints.REVOKE_OPERATION,
)(token_endpoints.delete_user_token)

api.post(
    "/api/webhooks/stripe",
    operation_id="stripeWebhook",
    summary="Take an event of Stripe's",
    description=webhooks.DESCRIPTION,
    tags=["Operation"],
    response=webhooks.Received,
    openapi_extra=webhooks.OPERATION,
)(webhooks.stripe_webhook)

api.post("/api/webhooks/stripe/", include_in_schema=False)(webhooks.stripe_webhook)

api.get(
    "/health",
    operation_id="health",
    summary="Is the process alive?",
    description="Answers 200 while the process is alive.",
    response=Health,
    tags=["Operation"],
)(health)

api.get(
    "/ready",
    operation_id="ready",
    summary="Can the server make cut-outs?",
    description="Answers 200 once the model is warm and the database answers; 503 says why not.",
    response={200: Readiness, 503: Readiness},
    tags=["Operation"],
)(ready)
