"""What the API description says about POST /rmbg."""

from typing import Any, Final

from openrembg.matting.options import FORMATS, MAX_SIDE
from openrembg.server.description import RATE_HEADERS, header_refs, response_ref

Json = dict[str, Any]

DESCRIPTION: Final = (
    "Send a PNG, JPEG, WebP or BMP of at most 50 MiB and 10000 x 10000 pixels; the answer's body "
    "is the cut-out itself. An empty value means the default, a field that is sent twice counts "
    "once (the first), and unknown fields are ignored. Also answered at /api/rmbg."
)

_FLAG: Final = ["true", "false", "1", "0", "yes", "no", "on", "off", ""]


def _side(what: str) -> Json:
    return {
        "description": f"{what} of the answer in pixels; 0 and empty mean not set.",
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_SIDE,
        "default": 0,
    }


def _flag(what: str, default: str) -> Json:
    return {
        "description": f"{what} In any case.",
        "type": "string",
        "enum": _FLAG,
        "default": default,
    }


FIELDS: Final[Json] = {
    "image": {
        "description": (
            "The picture. Its name ends with webp, bmp, png, jpg or jpeg or has no ending; which "
            "of the formats it is, its bytes decide."
        ),
        "type": "string",
        "format": "binary",
    },
    "format": {
        "description": "The format of the answer, in any case; jpg is jpeg.",
        "type": "string",
        "enum": [*FORMATS, "jpg", ""],
        "default": "webp",
    },
    "w": _side("Width"),
    "h": _side("Height"),
    "exact_resize": _flag(
        "Whether to force exactly w x h. Else the picture fits inside and keeps its aspect.",
        "false",
    ),
    "mask": _flag("Whether to answer with the alpha matte alone, in 8-bit grey.", "false"),
    "bg_color": {
        "description": (
            "The colour to put behind the cut-out: #RGB, #RGBA, #RRGGBB, #RRGGBBAA or a CSS colour "
            "name, in any case. Not together with mask. Empty keeps it transparent."
        ),
        "type": "string",
        "pattern": "^(#([0-9A-Fa-f]{3,4}|[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})|[A-Za-z]+)?$",
        "default": "",
        "examples": ["", "#00ff00", "rebeccapurple"],
    },
    "angle": {
        "description": "Degrees to turn the picture by, counter-clockwise.",
        "type": "number",
        "minimum": -360,
        "maximum": 360,
        "default": 0,
    },
    "expand": _flag("Whether the canvas grows so that a turned picture is not cropped.", "true"),
    "return_base64": _flag(
        "Accepted for older clients and changes nothing: the body is always the image.", "false"
    ),
}

_IMAGE_TYPES: Final = ("image/webp", "image/png", "image/jpeg", "image/bmp")

_ANSWER: Final[Json] = {
    "description": "The cut-out. Transparent all over when nothing was found, and free then.",
    "headers": header_refs(
        *("X-Request-Id", "X-Width", "X-Height", "X-Model", "X-Provider"),
        *("X-Credits-Charged", "X-Credits-Source", "Idempotent-Replayed"),
        *("X-Foreground-Detected", "X-Foreground-Top", "X-Foreground-Left"),
        *("X-Foreground-Width", "X-Foreground-Height"),
        *("Content-Disposition", "Cache-Control", "Server-Timing"),
        *RATE_HEADERS,
    ),
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _IMAGE_TYPES},
}

OPERATION: Final[Json] = {
    # An empty requirement: a caller without credentials is welcome too.
    "security": [{}, {"apiKey": []}, {"userToken": []}],
    "parameters": [{"$ref": "#/components/parameters/IdempotencyKey"}],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["image"], "properties": FIELDS},
            }
        },
    },
    "responses": {
        200: _ANSWER,
        400: response_ref("BadRequest"),
        401: response_ref("Unauthorized"),
        403: response_ref("Forbidden"),
        405: response_ref("MethodNotAllowed"),
        409: response_ref("Conflict"),
        413: response_ref("TooLarge"),
        422: response_ref("Unprocessable"),
        429: response_ref("TooMany"),
        500: response_ref("Internal"),
        503: response_ref("Unavailable"),
    },
}
