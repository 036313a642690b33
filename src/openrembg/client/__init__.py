"""Ask an openrembg server to remove backgrounds.

    from openrembg.client import Client, Options

    with Client() as client:
        client.save_cutout("photo.jpg", "cutout.webp", Options(w=800))

The key is REMBG_API_KEY, the server REMBG_API_URL, unless they are given. AsyncClient is the same
for programs with an event loop. Neither loads a neural network runtime.
"""

from openrembg.client.asynchronous import AsyncClient
from openrembg.client.cutout import Cutout, SavedCutout
from openrembg.client.errors import (
    APIError,
    BadRequest,
    BadSignature,
    BodyTooLarge,
    BothCredentials,
    Busy,
    ConnectionFailed,
    CsrfFailed,
    DailyLimit,
    DatabaseAway,
    EmailNotVerified,
    IdempotencyKeyTooLong,
    InputError,
    Internal,
    InvalidKey,
    InvalidRequest,
    InvalidToken,
    KeyCap,
    MethodNotAllowed,
    MonthlyLimit,
    NotAnEvent,
    NotFound,
    NotLoggedIn,
    NotReady,
    NotSaved,
    OtherPayload,
    RateLimited,
    RembgError,
    ServerFailed,
    SpoolFull,
    StillRunning,
    TimedOut,
    TooFast,
    Unavailable,
    UnexpectedAnswer,
)
from openrembg.client.photo import AsyncPhotoInput, PhotoInput
from openrembg.client.progress import OnProgress, Progress
from openrembg.client.synchronous import Client
from openrembg.client.usage import BillingCycle, DetailedBillingCycle, Usage
from openrembg.matting.box import Box
from openrembg.matting.errors import FieldError, InvalidOptions
from openrembg.matting.options import Options

__all__ = [
    "APIError",
    "AsyncClient",
    "AsyncPhotoInput",
    "BadRequest",
    "BadSignature",
    "BillingCycle",
    "BodyTooLarge",
    "BothCredentials",
    "Box",
    "Busy",
    "Client",
    "ConnectionFailed",
    "CsrfFailed",
    "Cutout",
    "DailyLimit",
    "DatabaseAway",
    "DetailedBillingCycle",
    "EmailNotVerified",
    "FieldError",
    "IdempotencyKeyTooLong",
    "InputError",
    "Internal",
    "InvalidKey",
    "InvalidOptions",
    "InvalidRequest",
    "InvalidToken",
    "KeyCap",
    "MethodNotAllowed",
    "MonthlyLimit",
    "NotAnEvent",
    "NotFound",
    "NotLoggedIn",
    "NotReady",
    "NotSaved",
    "OnProgress",
    "Options",
    "OtherPayload",
    "PhotoInput",
    "Progress",
    "RateLimited",
    "RembgError",
    "SavedCutout",
    "ServerFailed",
    "SpoolFull",
    "StillRunning",
    "TimedOut",
    "TooFast",
    "Unavailable",
    "UnexpectedAnswer",
    "Usage",
]
