"""Amounts and numbers as the readers of each language write them."""

import pytest
from django.utils.translation import override

from openrembg.server.billing.money import digits, money, number, places


@pytest.mark.parametrize(
    ("language", "amount", "count"),
    [
        ("en", "1,234,567.89 EUR", "20,000"),
        ("fa", "۱٬۲۳۴٬۵۶۷٫۸۹ EUR", "۲۰٬۰۰۰"),
        ("id", "1.234.567,89 EUR", "20.000"),
        ("ja", "1,234,567.89 EUR", "20,000"),
        ("ko", "1,234,567.89 EUR", "20,000"),
    ],
)
def test_each_language_has_its_separators_and_digits(
    language: str, amount: str, count: str
) -> None:
    with override(language):
        assert money(123_456_789, "eur") == amount
        assert number(20_000) == count


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (900, "EUR", "9.00 EUR"),
        (5, "usd", "0.05 USD"),
        (0, "EUR", "0.00 EUR"),
        (1200, "JPY", "1,200 JPY"),
        (1200, "krw", "1,200 KRW"),
        (1200, "VND", "1,200 VND"),
        (1200, "HUF", "12.00 HUF"),
        (5120, "KWD", "5.120 KWD"),
        (10**15, "EUR", "10,000,000,000,000.00 EUR"),
    ],
)
def test_a_currency_has_as_many_places_as_stripe_counts(
    amount: int, currency: str, shown: str
) -> None:
    assert money(amount, currency) == shown


def test_a_currency_is_one_in_either_case() -> None:
    assert places("jpy") == places("JPY") == 0


def test_digits_change_and_words_do_not() -> None:
    with override("fa"):
        assert digits("15 دسامبر 2026") == "۱۵ دسامبر ۲۰۲۶"
    assert digits("15 Dec 2026") == "15 Dec 2026"
