"""Visitors of the pages, and the mails that they get."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from pytest_django.fixtures import Settings as DjangoSettings

from openrembg.server.accounts.models import User
from outbox import Mail, mails

PASSWORD = "three blind mice run"

NewUser = Callable[..., User]
ReadMails = Callable[[], list[Mail]]


@pytest.fixture(autouse=True)
def no_attempts() -> Iterator[None]:
    """Nobody has tried anything yet."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def quick_passwords(settings: DjangoSettings) -> None:
    """Passwords that cost no time, for tests that give very many."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def new_user(database: object) -> NewUser:
    """A function that makes a user whose address is confirmed: new_user("ada@example.com", …)."""

    def make(address: str = "ada@example.com", *, verified: bool = True, **fields: object) -> User:
        user = User.objects.create_user(address, PASSWORD, **fields)
        EmailAddress.objects.create(user=user, email=address, verified=verified, primary=True)
        return user

    return make


@pytest.fixture
def read_mails(settings: DjangoSettings, tmp_path: Path) -> ReadMails:
    """A function that reads the outbox, oldest mail first."""
    settings.EMAIL_BACKEND = "openrembg.server.accounts.outbox.Outbox"
    return lambda: mails(tmp_path / "outbox")
