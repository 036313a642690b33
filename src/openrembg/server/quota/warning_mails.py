"""The mails that say that included credits run out: each is sent once, in its reader's language.

Whoever sends one claims it first, so that of several servers one sends it. A mail server that is
away is asked again later, a few times for each mail. A server that dies in just the moment in which
the mail server has taken a mail is the one way to a second.
"""

import datetime as dt
import logging
from smtplib import (
    SMTPDataError,
    SMTPNotSupportedError,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from typing import Any, Final, Literal

from allauth.account.adapter import get_adapter
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import translation

from openrembg.server.accounts import mail
from openrembg.server.accounts.models import User
from openrembg.server.observability.metrics import count_mail
from openrembg.server.quota.cycles import present_cycle
from openrembg.server.quota.models import UsageWarning
from openrembg.server.quota.remainder import remainder
from openrembg.server.quota.usage import Usage, usage_of
from openrembg.server.quota.warnings import LEVELS, level_of, readers
from openrembg.server.quota.windows import month_of

TEMPLATE: Final = "account/email/usage_warning"
AT_ONCE: Final = 50
MAX_TRIES: Final = 4
# After the first failure; three times as long after each other one.
AGAIN: Final = dt.timedelta(minutes=10)
# How long all mails wait when the mail server is away.
PAUSE: Final = dt.timedelta(minutes=5)

# What says something of one mail and nothing of the mail server. ValueError: no address at all.
REFUSALS: Final = (
    *(SMTPRecipientsRefused, SMTPSenderRefused, SMTPDataError, SMTPNotSupportedError),
    ValueError,
)

Ending = Literal["sent", "dropped", "refused", "away"]

logger = logging.getLogger("openrembg.mail")


def send_due(now: dt.datetime) -> int:
    """Send what is due, and return how many mails that were; some at a time."""
    due = UsageWarning.objects.filter(due_at__lte=now).order_by("due_at", "pk")[:AT_ONCE]
    sent = 0
    for warning in list(due):
        ending = _tried(warning, now)
        sent += ending == "sent"
        if ending == "away":
            UsageWarning.objects.filter(due_at__lte=now).update(due_at=now + PAUSE)
            break
    return sent


def _tried(warning: UsageWarning, now: dt.datetime) -> Ending:
    """Send one mail, if it is still ours to send and still true."""
    if not _is_claimed(warning, now):
        return "dropped"
    message = _message(warning, now)
    if message is None:
        warning.delete()
        return "dropped"
    ending = _sent(message)
    if ending == "sent":
        UsageWarning.objects.filter(pk=warning.pk).update(sent_at=now, due_at=None)
    return ending


def _sent(message: EmailMessage) -> Ending:
    try:
        message.send()
    except (OSError, ValueError) as error:
        # SMTPException is an OSError too.
        fields = {"mail": TEMPLATE, "error": type(error).__name__}
        logger.error("A mail could not be sent", extra={"fields": fields})
        count_mail(is_sent=False)
        return "refused" if isinstance(error, REFUSALS) else "away"
    count_mail(is_sent=True)
    return "sent"


def _is_claimed(warning: UsageWarning, now: dt.datetime) -> bool:
    """Take one try of a warning; of all who want the same one, one succeeds."""
    again = now + AGAIN * 3**warning.tries
    same = UsageWarning.objects.filter(
        pk=warning.pk, tries=warning.tries, due_at=warning.due_at, sent_at=None
    )
    tries = warning.tries + 1
    return bool(same.update(tries=tries, due_at=again if tries < MAX_TRIES else None))


def _message(warning: UsageWarning, now: dt.datetime) -> EmailMessage | None:
    """Return the mail as things are now; None when it is not true any more, or not wanted."""
    user, usage = readers().filter(pk=warning.user_id).first(), usage_of(warning.user_id)
    if user is None or usage is None or not _is_still_true(warning, usage, now):
        return None
    with translation.override(mail.language_of(user.email, {"user": user})):
        headers = {"Auto-Submitted": "auto-generated"}
        about = _context(user, warning, usage, now)
        message: EmailMessage = get_adapter().render_mail(TEMPLATE, user.email, about, headers)
        return message


def _is_still_true(warning: UsageWarning, usage: Usage, now: dt.datetime) -> bool:
    """Whether the window is the present one, and the level the one that is reached in it."""
    period, cycle = usage.period_at(now), present_cycle(usage, now)
    place = ("month", month_of(now).start) if period is None else ("cycle", period.start)
    level = level_of(cycle.used.app + cycle.used.api, cycle.included)
    found = (warning.kind, warning.start, warning.allowance, warning.level)
    return found == (*place, cycle.included, level)


def _context(user: User, warning: UsageWarning, usage: Usage, now: dt.datetime) -> dict[str, Any]:
    site, left, cycle = mail.server_address(), remainder(usage, now), present_cycle(usage, now)
    return {
        "user": user,
        "plan": left.plan,
        "is_used_up": warning.level == LEVELS[0],
        "used": cycle.used.app + cycle.used.api,
        "included": left.included_all,
        "included_left": left.included,
        "prepaid_left": left.prepaid,
        "until": left.until,
        "ends": left.ends,
        "usage_url": site + reverse("account_home"),
        "plans_url": site + reverse("plans"),
        "profile_url": site + reverse("account_profile"),
    }
