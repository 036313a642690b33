"""Who has an account, and the two kinds of credentials that stand for them.

Of a credential only the SHA-256 digest is kept, so that a stolen database opens no account.
"""

import datetime as dt
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MAX_NAME = 100
MAX_PREFIX = 16
DIGEST_CHARS = 64


class UserManager(BaseUserManager["User"]):
    """Makes users; an address is one address in any case."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Return a new user; without a password, one who can log in only after a reset."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Return a new operator, who may use the admin pages."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with an address, written in any case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """Somebody with an account, known by their e-mail address."""

    email = models.EmailField(_("e-mail address"), unique=True)
    language = models.CharField(_("language"), max_length=8, default="en")
    usage_mails = models.BooleanField(_("mails about usage"), default=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("staff"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(Lower("email"), name="one_user_an_address"),
        ]


class Credential(models.Model):
    """What keys and tokens have in common."""

    user: models.ForeignKey[User, User] = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="%(class)ss"
    )
    name = models.CharField(_("name"), max_length=MAX_NAME, blank=True)
    # The first characters, which tell its owner which one it is and nobody what it is.
    prefix = models.CharField(_("begins with"), max_length=MAX_PREFIX)
    digest = models.CharField(max_length=DIGEST_CHARS, unique=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def is_alive(self, now: dt.datetime) -> bool:
        """Whether it opens the account: neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class ApiKey(Credential):
    """A key for programs; what it asks for counts as api usage.

    monthly_cap: the credits that it may charge in a calendar month (UTC); None: no cap of its own.
    previous_digest: the text that a rotation replaced, which opens the account until
    previous_ends_at. The key itself stays one: its name, cap and usage go on.
    """

    monthly_cap = models.PositiveBigIntegerField(_("monthly cap"), null=True, blank=True)
    previous_digest = models.CharField(max_length=DIGEST_CHARS, unique=True, null=True)
    previous_ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")


class UserToken(Credential):
    """A short-lived token for the web editor and scripts; what it asks for counts as app usage.

    session_digest: of the key of the session that it was made in, and that it ends with; "": none.
    """

    session_digest = models.CharField(max_length=DIGEST_CHARS, blank=True, default="")

    class Meta:
        verbose_name = _("user token")
        verbose_name_plural = _("user tokens")
