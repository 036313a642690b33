"""The mail that confirms an account's new address."""

from typing import Final

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext as _

APP: Final = "allauth.account"
# Apart from the mails of signing up, or a stranger's wish would keep those from the owner.
LIMIT: Final = "change_of_address"
SENT: Final = "account/messages/email_confirmation_sent.txt"


def ask_to_confirm(request: HttpRequest, address: EmailAddress) -> None:
    """Mail a new address the link that confirms it, and say so.

    An address gets one such mail in three minutes, whoever wants it; else the page says that
    none was sent.
    """
    if not ratelimit.consume(request, app=APP, action=LIMIT, key=address.email):
        text = _(
            "No mail was sent now, because one went to %(email)s less than three minutes ago. "
            "Ask for it again in three minutes."
        )
        messages.warning(request, text % {"email": address.email})
        return
    address.send_confirmation(request)
    about = {"email": address.email, "login": False, "signup": False}
    get_adapter().add_message(request, messages.INFO, SENT, about)


def forget_sending(request: HttpRequest, email: str) -> None:
    """Let the next mail go at once, because this one could not be sent."""
    ratelimit.clear(request, app=APP, action=LIMIT, key=email.lower())
