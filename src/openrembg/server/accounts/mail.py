"""In which language a mail speaks, and where its links lead."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.urls import translate_url
from django.utils.translation import get_language

from openrembg.server.accounts.models import User


def language_of(email: str, context: dict[str, Any]) -> str:
    """Return the language of a mail's reader; a stranger's is the page's."""
    user = context.get("user") or User.objects.filter(email=email.lower()).first()
    known = dict(settings.LANGUAGES)
    if isinstance(user, User) and user.language in known:
        return user.language
    return get_language() or settings.LANGUAGE_CODE


def links(context: dict[str, Any], language: str, site: str) -> dict[str, str]:
    """Return the context's addresses (`…_url`) as the reader shall see them."""
    found = {name: value for name, value in context.items() if name.endswith("_url")}
    return {name: site + translate_url(_path(url), language) for name, url in found.items()}


def site_address(request: HttpRequest) -> str:
    """Return the address that links begin with, without a slash at the end.

    Whoever asks for a mail chooses the Host header, and somebody else clicks the link. The header
    is believed only when it names a host that OPENREMBG_ALLOWED_HOSTS lists, or the reader's own
    machine. A private address is no better than another: in the next network it is a stranger's.
    """
    if settings.OPENREMBG.public_url is None and _is_ours(host := request.get_host()):
        return f"{request.scheme}://{host}"
    return server_address()


def server_address() -> str:
    """Return the address that links begin with in a mail that no request caused."""
    chosen = settings.OPENREMBG
    if chosen.public_url is not None:
        return str(chosen.public_url)
    name = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    return f"http://{name}:{chosen.port}"


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _is_ours(host: str) -> bool:
    name = split_domain_port(host)[0]
    listed = [pattern for pattern in settings.ALLOWED_HOSTS if pattern != "*"]
    if name == "localhost" or validate_host(name, listed):
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
