"""The end of an account: all of it at once, but for the numbers of the ledger."""

from allauth.account.adapter import get_adapter

from openrembg.server.accounts.models import User


def delete_account(user: User) -> None:
    """Delete a user with addresses, keys, tokens, second factors, balance and usage.

    Sessions elsewhere end with it, for they name a user who is not there any more. The ledger
    keeps its entries, whose user number then stands for nobody. A last mail says so; it is sent
    first, while there is somebody whose language is known.
    """
    get_adapter().send_notification_mail("account/email/account_deleted", user, {"user": user})
    user.delete()
