"""What a template needs to show a form that makes a key, wherever the form stands."""

from django import template

from openrembg.server.accounts import once

register = template.Library()


@register.simple_tag
def fresh_ticket() -> str:
    """Return the ticket by which a form is known when it is sent a second time."""
    return once.fresh_ticket()
