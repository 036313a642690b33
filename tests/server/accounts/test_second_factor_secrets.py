import pytest
from pytest_django.fixtures import Settings as DjangoSettings

from openrembg.server.accounts.second_factor import SecondFactor


def test_a_secret_comes_back() -> None:
    kept = SecondFactor().encrypt("JBSWY3DPEHPK3PXP")
    assert "JBSWY3DPEHPK3PXP" not in kept
    assert SecondFactor().decrypt(kept) == "JBSWY3DPEHPK3PXP"


def test_under_another_key_no_code_is_ever_right(
    settings: DjangoSettings, caplog: pytest.LogCaptureFixture
) -> None:
    kept = SecondFactor().encrypt("JBSWY3DPEHPK3PXP")
    settings.SECRET_KEY = "another"
    first, second = SecondFactor().decrypt(kept), SecondFactor().decrypt(kept)
    assert first != second
    assert len(first) == 32
    assert "SECRET_KEY" in caplog.text
