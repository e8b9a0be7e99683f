"""Numbers by the locale of who wrote them."""

import re

import pytest

from schemas.numbers import Number, Unread, number_expression, read_number


@pytest.mark.parametrize(
    ("locale", "text", "written"),
    [
        (None, "1,234.5", "1234.5"),
        (None, "1,234,567", "1234567"),
        (None, "0.125", "0.125"),
        (None, "1234.125", "1234.125"),
        (None, "+5", "5"),
        (None, "−5", "-5"),
        (None, "１２", "12"),
        (None, "٣٫٥", "3.5"),
        (None, "¾", "0.75"),
        (None, "⅓", "0.333333"),
        ("en-US", "1.200", "1.200"),
        ("de-DE", "1.234,5", "1234,5"),
        ("de-DE", "1½", "1,5"),
        ("de_CH", "1’234.5", "1234.5"),
        ("fr-FR", "1\u202f234,5", "1234,5"),
        ("fr-FR", "1 234,5", "1234,5"),
        ("en-IN", "12,34,567", "1234567"),
        ("ar-EG", "١٬٢٣٤٫٥", "1234.5"),
    ],
)
def test_a_number_is_read_by_its_locale(locale: str | None, text: str, written: str) -> None:
    number = read_number(f"{text} kg", locale)
    assert isinstance(number, Number)
    assert (number.written, number.unit) == (written, "kg")
    assert re.fullmatch(f"-?{number_expression(locale)}", number.written)
    again = read_number(number.written, locale)
    assert isinstance(again, Number)
    assert again.value == number.value


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        (None, "0,339"),
        (None, "1.200"),
        (None, "1,5"),
        (None, "1.234,5"),
        (None, "1 200"),
        (None, "12,34,567"),
        ("de-DE", "1.5"),
        ("de-DE", "1,234.5"),
        ("en-US", "1,5"),
        ("en-IN", "1,234,567"),
    ],
)
def test_what_has_several_readings_or_another_locales_is_refused(
    locale: str | None, text: str
) -> None:
    found = read_number(text, locale)
    assert isinstance(found, Unread)
    assert found.reason == "ambiguous_number"


def test_a_number_of_thousands_of_digits_is_refused_at_once() -> None:
    found = read_number("1" * 10_000)
    assert isinstance(found, Unread)
    assert "more than 40 digits" in found.says
