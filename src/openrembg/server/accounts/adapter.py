"""What django-allauth asks of us: who may sign up, whose address it is, how mails are sent."""

import logging
from smtplib import SMTPException
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.account.models import EmailAddress
from allauth.account.utils import get_next_redirect_url
from allauth.core import context as current
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.forms import BaseForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from openrembg.server.accounts import mail
from openrembg.server.accounts.address import client_address, client_block
from openrembg.server.accounts.address_change import APP, SENT, forget_sending
from openrembg.server.accounts.keys import revoke_all
from openrembg.server.accounts.models import User, UserToken
from openrembg.server.accounts.ownership import end_claims, make_way
from openrembg.server.observability.metrics import count_mail

MAX_ADDRESS = 254
NOT_CONFIRMED = "account/messages/email_confirmation_failed.txt"
# Mails that somebody waits for; the others tell what has happened already.
AWAITED = (
    "account/email/email_confirmation",
    "account/email/email_confirmation_signup",
    "account/email/password_reset_key",
    "account/email/account_already_exists",
    "account/email/unknown_account",
)

logger = logging.getLogger("openrembg.mail")


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]  # (allauth has no types)
    """allauth's behaviour, with our addresses, languages and mails."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Return whether strangers may open an account."""
        return bool(settings.OPENREMBG.sign_up == "open")

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address that attempts are counted by."""
        return str(client_address(request))

    def save_user(
        self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True
    ) -> User:
        """Save a new user, who speaks the page's language.

        When the same address signs up twice at once, the second hears what it would hear later.
        """
        user.language = translation.get_language() or settings.LANGUAGE_CODE
        try:
            with transaction.atomic():
                saved: User = super().save_user(request, user, form, commit)
        except IntegrityError as error:
            answer = prevent_enumeration(request, email=form.cleaned_data["email"])
            raise ImmediateHttpResponse(answer) from error
        return saved

    def send_account_already_exists_mail(self, email: str) -> None:
        """Tell the owner that somebody tried to sign up with the address once more."""
        # As long as a new account takes, or the time would tell that there is one.
        make_password(email)
        super().send_account_already_exists_mail(email)

    def format_email_subject(self, subject: str) -> str:
        """Return the subject as it is."""
        return subject

    def clean_email(self, email: str) -> str:
        """Refuse an address that is longer than an address can be (RFC 5321, 4.5.3.1.3)."""
        if len(email) > MAX_ADDRESS:
            raise ValidationError(_("This address is too long."))
        return email

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count an attempt: by account and client, and by account wherever it comes from.

        The first keeps guessers out and lets the owner in; the second ends what is spread over
        many clients. Raises ValidationError when there were too many.
        """
        super().pre_authenticate(request, **credentials)
        anywhere = ratelimit.consume(
            request, app=APP, action="login_failed_anywhere", key=_login(credentials)
        )
        if not anywhere:
            raise self.validation_error("too_many_login_attempts")
        # A log-in that succeeds takes both back.
        self._login_failed_rl_usage.usage.extend(anywhere.usage)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth's own key holds the Host header, which whoever guesses may choose anew each time.
        return f"{client_block(request)}:{_login(credentials)}"

    def set_password(self, user: User, password: str) -> None:
        """Set a password; whoever came by a mailed link has confirmed the address with it.

        Nobody else comes here before they have: the other ways to a new password need a log-in.
        Whoever had the old one may have made user tokens with it; they end.
        """
        super().set_password(user, password)
        revoke_all(user, UserToken)
        addresses = list(EmailAddress.objects.filter(user=user))
        # With more than one, the link may have gone to another than the user's own.
        if [address.email for address in addresses] != [user.email] or addresses[0].verified:
            return
        if addresses[0].set_verified():
            addresses[0].set_as_primary(conditional=True)
            end_claims(addresses[0])

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm an address, whole or not at all; whoever only claimed it has lost it then."""
        try:
            with transaction.atomic():
                make_way(email_address)
                is_confirmed: bool = super().confirm_email(request, email_address)
                if is_confirmed:
                    end_claims(email_address)
        except IntegrityError:
            about = {"email": email_address.email}
            self.add_message(request, messages.ERROR, NOT_CONFIRMED, about)
            return False
        return is_confirmed

    def is_safe_url(self, url: str) -> bool:
        """Return whether a page may lead there; where nothing can be is not safe."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def get_reauthentication_methods(self, user: User) -> list[dict[str, Any]]:
        """Return the ways to prove again who one is; for the admin pages no password does."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        wanted = get_next_redirect_url(current.request) or ""
        if not wanted.startswith(reverse("admin:index")):
            return methods
        return [method for method in methods if method["id"] != "reauthenticate"]

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:  # noqa: ARG002
        """Return where somebody goes who has changed their password."""
        return reverse("account_profile")

    def get_from_email(self) -> str:
        """Return who mails come from."""
        return str(settings.OPENREMBG.mail_from)

    def send_confirmation_mail(
        self,
        request: HttpRequest,
        emailconfirmation: Any,
        signup: bool,  # noqa: ARG002
    ) -> None:
        """Send the mail of signing up to a user's own address, of a change to every other."""
        address = emailconfirmation.email_address
        is_own = address.email == address.user.email
        super().send_confirmation_mail(request, emailconfirmation, is_own)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a mail in its reader's language; a mail server that is away stops nobody."""
        request = current.request
        language, site = mail.language_of(email, context), mail.site_address(request)
        # The addresses are understood in the page's language alone: before it changes.
        links = mail.links(context, language, site)
        with translation.override(language):
            known = {
                **context,
                **links,
                "email": email,
                "reset_url": site + reverse("account_reset_password"),
                "sign_up_is_open": self.is_open_for_signup(request),
            }
            headers = {"Auto-Submitted": "auto-generated"}
            message = self.render_mail(template_prefix, email, known, headers)

        def send() -> None:
            try:
                message.send()
            except (SMTPException, OSError) as error:
                fields = {"mail": template_prefix, "error": type(error).__name__}
                logger.error("A mail could not be sent", extra={"fields": fields})
                count_mail(is_sent=False)
                if template_prefix in AWAITED:
                    self._say_unsent(request, email)
                return
            count_mail(is_sent=True)

        # What a mail tells of has to be true: a change that fails sends none.
        transaction.on_commit(send)

    def add_message(
        self,
        request: HttpRequest,
        level: int,
        message_template: str | None = None,
        message_context: dict[str, Any] | None = None,
        extra_tags: str = "",
        message: str | None = None,
    ) -> None:
        """Add a message for the next page, unless it says that a mail was sent that was not."""
        if message_template == SENT and getattr(request, "mail_is_unsent", False):
            return
        super().add_message(request, level, message_template, message_context, extra_tags, message)

    def _say_unsent(self, request: HttpRequest, email: str) -> None:
        request.mail_is_unsent = True  # type: ignore[attr-defined]
        text = _(
            "The mail could not be sent, because the mail server does not answer. "
            "Please try again in a few minutes; after signing up, sign in to have it sent again."
        )
        messages.error(request, text)
        # The attempt does not count: the next one shall send.
        ratelimit.clear(request, app=APP, action="confirm_email", key=email.lower())
        forget_sending(request, email)


def _login(credentials: dict[str, Any]) -> str:
    return str(credentials.get("email", "")).lower()
