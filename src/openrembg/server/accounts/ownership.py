"""Whose a mail address is: whoever confirmed it, else whoever signed up with it.

An address that an account only wants to change to is nobody's: anybody may write any address there.
"""

from allauth.account.models import EmailAddress

from openrembg.server.accounts.models import User


def owners(address: str) -> list[User]:
    """Return the user whose address it is; nobody, when it is free."""
    address = address.lower()
    confirmed = User.objects.filter(emailaddress__email=address, emailaddress__verified=True)
    return list(confirmed) or list(User.objects.filter(email=address))


def make_way(address: EmailAddress) -> None:
    """Delete the user who signed up with an address that another account is about to confirm.

    That one reads the mails, and this one never proved that they do. Users who are more than a
    sign-up stay: those who have confirmed, logged in, got keys or plan or credits, and staff.
    """
    if not address.can_set_verified():
        return
    claims = User.objects.filter(email=address.email, last_login=None, is_staff=False)
    others = claims.exclude(pk=address.user_id).exclude(emailaddress__verified=True)
    others.exclude(apikeys__isnull=False).exclude(balance__entries__gt=0).delete()


def end_claims(address: EmailAddress) -> None:
    """Forget that other accounts wanted to change to an address that is now confirmed."""
    claims = EmailAddress.objects.filter(email=address.email, verified=False)
    claims.exclude(pk=address.pk).delete()
