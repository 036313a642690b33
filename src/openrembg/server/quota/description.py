"""What the API description says about GET /api/membership-usage."""

from typing import Any, Final

from openrembg.matting.errors import FieldError
from openrembg.server import errors
from openrembg.server.description import error_response, header_refs, response_ref
from openrembg.server.quota.usage_query import COMBINED, MAX_MONTH, MAX_START, MAX_YEAR

Json = dict[str, Any]

DESCRIPTION: Final = (
    "What the key's owner has, and how many included credits were used: in a calendar month (UTC), "
    "or in a billing period. Prepaid credits that were spent are not in these counters. An empty "
    "value means the default, and of a parameter that is sent twice the first counts. Readable "
    "while the e-mail address is not verified."
)

_NOT_NEGATIVE: Final[Json] = {"type": "integer", "minimum": 0}


def _number(description: str, example: int) -> Json:
    return {**_NOT_NEGATIVE, "description": description, "examples": [example]}


_COUNTERS: Final[Json] = {
    "periodStartUnix": _number("First second of the period, Unix time.", 1794787200),
    "periodEndUnix": _number("Its end, Unix time.", 1797379200),
    "appUsage": _number("Included credits used through the web editor.", 120),
    "apiUsage": _number("Included credits used through the API.", 3400),
}

_CYCLE: Final[Json] = {
    **_COUNTERS,
    "includedCredits": _number("Credits that the plan includes in the period.", 18500),
    "prepaidCredits": _number("Prepaid credits that are left now.", 250),
    "usedIncludedCredits": _number("Included credits used, app and API together.", 3520),
    "remainingIncludedCredits": _number("Included credits that are left.", 14980),
    "stripeBillingSynced": {
        "type": "boolean",
        "description": "Whether the period is Stripe's; else it is the calendar month.",
        "examples": [True],
    },
}

_USAGE: Final[Json] = {
    "membership": {
        "type": "string",
        "description": "The plan's label: free text that nobody should parse.",
        "examples": ["Premium-20000"],
    },
    "credits": _number("Credits that the plan includes, not what is left of them.", 18500),
    "prepaidCredits": _number("Prepaid credits that are left now.", 250),
    "app_usage": _number("Included credits used through the web editor.", 120),
    "api_usage": _number("Included credits used through the API.", 3400),
}


def _object(description: str, properties: Json, optional: Json | None = None) -> Json:
    return {
        "type": "object",
        "description": description,
        "required": list(properties),
        "properties": {**properties, **(optional or {})},
        "additionalProperties": False,
    }


SCHEMAS: Final[Json] = {
    "BillingCycle": _object("A billing period, or the calendar month in its place.", _CYCLE),
    "MembershipUsage": _object(
        "What an account has and has used, all at one moment.",
        _USAGE,
        {"billingCycle": {"$ref": "#/components/schemas/BillingCycle"}},
    ),
    "BillingCycles": _object(
        "The billing periods, newest first.",
        {
            "billingCycles": {
                "type": "array",
                "items": _object("A billing period and its counters.", _COUNTERS),
            }
        },
    ),
}


def _example(properties: Json) -> Json:
    return {name: schema["examples"][0] for name, schema in properties.items()}


def _parameter(name: str, description: str, example: object, **schema: object) -> Json:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "allowEmptyValue": True,
        "schema": schema,
        "example": example,
    }


PARAMETERS: Final[list[Json]] = [
    _parameter(
        "year",
        "The year of the calendar month; the present one when it is left out.",
        2026,
        type="integer",
        minimum=1,
        maximum=MAX_YEAR,
    ),
    _parameter(
        "month",
        "The calendar month; the present one when it is left out.",
        11,
        type="integer",
        minimum=1,
        maximum=MAX_MONTH,
    ),
    _parameter(
        "periodStartUnix",
        "The billing period that begins in this second, in the place of a calendar month. One "
        "that is not known has no usage. Not together with year or month.",
        1794787200,
        type="integer",
        minimum=0,
        maximum=MAX_START,
    ),
    _parameter(
        "expand",
        "What to tell beside the counters, separated by commas: billing_cycle adds billingCycle.",
        "billing_cycle",
        type="string",
    ),
    _parameter("includeBillingCycle", "1 or true adds billingCycle too.", "true", type="string"),
    _parameter(
        "listBillingCycles",
        "1 or true answers with the list of billing periods; nothing else is looked at then.",
        "true",
        type="string",
    ),
]

_ANSWER: Final[Json] = {
    "description": "The counters, or the list of billing periods.",
    "headers": header_refs("X-Request-Id", "Cache-Control"),
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/MembershipUsage"},
                    {"$ref": "#/components/schemas/BillingCycles"},
                ]
            },
            "examples": {
                "counters": {"summary": "a month or a period", "value": _example(_USAGE)},
                "billing_cycle": {
                    "summary": "with expand=billing_cycle",
                    "value": {**_example(_USAGE), "billingCycle": _example(_CYCLE)},
                },
                "list": {
                    "summary": "with listBillingCycles=true",
                    "value": {"billingCycles": [_example(_COUNTERS)]},
                },
            },
        }
    },
}

OPERATION: Final[Json] = {
    "security": [{"apiKey": []}],
    "parameters": PARAMETERS,
    "responses": {
        200: _ANSWER,
        400: error_response(
            "A parameter is wrong, or two kinds of credentials are sent.",
            {
                "one_parameter": errors.InvalidRequest(
                    FieldError("month", "'month' must be at most 12, got: 13")
                ),
                "combined": errors.InvalidRequest(FieldError("periodStartUnix", COMBINED)),
                "several_parameters": errors.InvalidRequest(
                    FieldError("year", "'year' must be at least 1, got: 0"),
                    FieldError("month", "'month' must be an integer, got: 'May'"),
                ),
                "both_credentials": errors.BothCredentials(),
            },
            schemas=("FieldErrors", "FieldError", "Error"),
        ),
        401: error_response(
            "There is no key, or it is unknown.",
            {"key": errors.InvalidKey()},
            "WWW-Authenticate",
            schemas=("Error",),
        ),
        405: response_ref("MethodNotAllowed"),
        413: response_ref("TooLarge"),
        500: response_ref("Internal"),
        503: response_ref("Unavailable"),
    },
}
