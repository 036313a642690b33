"""How the secrets of second factors are kept: encrypted, so that a stolen database opens nothing.

A code has to be computed from them, so that a digest would not do.
"""

import base64
import hashlib
import logging
import secrets

from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

logger = logging.getLogger("openrembg.accounts")


class SecondFactor(DefaultMFAAdapter):  # type: ignore[misc]  # (allauth has no types)
    """allauth's behaviour, with secrets encrypted under SECRET_KEY."""

    def encrypt(self, text: str) -> str:
        """Return what is kept in place of a secret."""
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret; under another SECRET_KEY, one that no code was ever made from."""
        try:
            return _fernet().decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            logger.error("A second factor was kept under another SECRET_KEY; its codes are refused")
            return base64.b32encode(secrets.token_bytes(20)).decode()


def _fernet() -> Fernet:
    key = hashlib.sha256(f"openrembg second factors {settings.SECRET_KEY}".encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
