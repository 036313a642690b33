"""Who logs in with an address and a password."""

from allauth.account.auth_backends import AuthenticationBackend

from openrembg.server.accounts.models import User
from openrembg.server.accounts.ownership import owners


class Backend(AuthenticationBackend):  # type: ignore[misc]  # (allauth has no types)
    """allauth's backend, for which an address that was never confirmed opens no other account."""

    def _authenticate_by_email(self, email: str, password: str) -> User | None:
        found = (self._check_password(user, password) for user in owners(email))
        return next((user for user in found if user is not None), None)
