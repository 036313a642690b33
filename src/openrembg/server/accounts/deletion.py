"""The end of an account: all of it at once, but for the numbers of the ledger."""

from typing import Final

from allauth.account.adapter import get_adapter
from django.db import IntegrityError, OperationalError

from openrembg.server.accounts.models import User
from openrembg.server.quota.ledger import everything_locked

# Requests that run meanwhile may add a row, or hold one, in just this moment.
TRIES: Final = 5


def delete_account(user: User, *, tell: bool = True) -> None:
    """Delete a user with addresses, keys, tokens, second factors, balance and usage.

    Sessions elsewhere end with it, for they name a user who is not there any more. The ledger
    keeps its entries, whose user number then stands for nobody. tell: send a last mail, once it is
    done. Raises AccountGone for a user who is gone already.
    """
    for _ in range(TRIES - 1):
        try:
            _delete(user, tell=tell)
        except (IntegrityError, OperationalError):
            continue
        return
    _delete(user, tell=tell)


def _delete(user: User, *, tell: bool) -> None:
    with everything_locked(user.pk):
        if tell:
            # It is written while there is somebody whose language is known, and sent on commit.
            about = {"user": user}
            get_adapter().send_notification_mail("account/email/account_deleted", user, about)
        # A copy, so that a second try still knows whom.
        User.objects.get(pk=user.pk).delete()
