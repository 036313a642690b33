import pytest
from django.db import IntegrityError

from databases import TestDatabase
from openrembg.server.accounts.models import User

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize("again", ["ada@example.com", "ADA@Example.com"])
def test_an_address_is_one_address_in_any_case(again: str) -> None:
    User.objects.create_user("Ada@example.com", "secret words")
    with pytest.raises(IntegrityError):
        User.objects.create_user(again, "secret words")


@pytest.mark.usefixtures("real_passwords")
def test_a_password_is_kept_as_an_argon2_hash() -> None:
    user = User.objects.create_user("ada@example.com", "secret words")
    assert user.password.startswith("argon2$argon2id$")
    assert user.check_password("secret words")


def test_every_test_begins_with_an_empty_database(database: TestDatabase) -> None:
    assert not User.objects.exists()
