"""From a request's body to a checked piece of work: a picture, options, and what it will cost."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

from openrembg.matting.decode import Source
from openrembg.matting.errors import FieldError, InvalidOptions
from openrembg.matting.options import Options
from openrembg.matting.pipeline import peak_pixels
from openrembg.server.errors import BodyTooLarge, InvalidRequest, SpoolFull, StillRunning
from openrembg.server.removal.form import Form, MalformedForm, read_form
from openrembg.server.removal.schemas import in_order, parse_options
from openrembg.server.removal.upload import BadUpload, Picture, check_size, check_upload
from openrembg.server.threads import TooManyWaiting

EMPTY_FORM: Final = Form(fields={}, image=None)
_FORM: Final = "openrembg.form"
_REFUSED: Final = (
    *("openrembg.spool_full", "openrembg.chunked_too_large", "openrembg.body_too_large"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done. pixels: the most that it holds at once, for admission."""

    picture: Picture
    options: Options
    pixels: int


def read_work(request: HttpRequest) -> Work:
    """Return what the request asks for, every field and the picture's header checked.

    Raises InvalidRequest with all that is wrong, SpoolFull or BodyTooLarge when the server had to
    answer before the body came.
    """
    _check_body_came(request)
    form = form_of(request)
    options, field_errors = _options(form)
    picture, pixels, image_errors = _picture(form, options or Options())
    if options is None or picture is None:
        raise InvalidRequest(*in_order((*image_errors, *field_errors)))
    return Work(picture, options, pixels)


def client_gone(request: HttpRequest) -> Callable[[], bool] | None:
    """Return how to ask whether the client hung up, None where the server cannot know."""
    ask = request.META.get("openrembg.client_gone")
    return ask if callable(ask) else None


@contextmanager
def waiting(request: HttpRequest) -> Iterator[None]:
    """Give this request's thread to another request while the block only waits.

    Raises StillRunning, before the block, when too many requests wait already.
    """
    enter = request.META.get("openrembg.waiting", nullcontext)
    with ExitStack() as stack:
        try:
            stack.enter_context(enter())
        except TooManyWaiting as error:
            raise StillRunning from error
        yield


def _check_body_came(request: HttpRequest) -> None:
    if request.META.get("openrembg.spool_full"):
        raise SpoolFull("no room for another upload")
    if request.META.get("openrembg.chunked_too_large"):
        raise BodyTooLarge
    declared = request.META.get("openrembg.body_too_large")
    if declared is None:
        return
    try:
        check_size(int(declared))
    except BadUpload as error:
        raise InvalidRequest(*error.errors) from error


def form_of(request: HttpRequest) -> Form:
    """Return the request's form, read once; an empty one for a body that is no form."""
    known = request.META.get(_FORM)
    if not isinstance(known, Form):
        known = request.META[_FORM] = _read(request)
    return known


def body_came(request: HttpRequest) -> bool:
    """Return whether the server took the body, or had to answer before it came."""
    return not any(request.META.get(flag) is not None for flag in _REFUSED)


def _read(request: HttpRequest) -> Form:
    length = request.META.get("CONTENT_LENGTH") or ""
    try:
        return read_form(
            request.META["wsgi.input"],
            request.META.get("CONTENT_TYPE", ""),
            int(length) if length.isascii() and length.isdigit() else None,
        )
    except MalformedForm:
        return EMPTY_FORM


def _options(form: Form) -> tuple[Options | None, tuple[FieldError, ...]]:
    try:
        return parse_options(form.fields), ()
    except InvalidOptions as error:
        return None, error.errors


def _picture(form: Form, options: Options) -> tuple[Picture | None, int, tuple[FieldError, ...]]:
    def measure(source: Source) -> int:
        return peak_pixels(source, options)

    try:
        picture, pixels = check_upload(form, measure)
    except BadUpload as error:
        return None, 0, error.errors
    return picture, pixels, ()
