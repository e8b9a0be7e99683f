"""What a unit is in which letter case, on things that are sold."""

from fractions import Fraction

import pytest

from schemas.units import is_another, readings, scale, usual


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("ML", "ml"),
        ("Ml", "ml"),
        ("MM", "mm"),
        ("Mm", "mm"),
        ("MG", "mg"),
        ("G", "g"),
        ("KG", "kg"),
        ("MAH", "mAh"),
        ("mhz", "MHz"),
        ("mHz", "MHz"),
        ("PF", "pF"),
        ("MV", "mV"),
    ],
)
def test_a_prefix_that_nothing_sold_is_measured_in_is_the_other_one(
    written: str, unit: str
) -> None:
    assert usual(written) == unit
    assert scale(written) == scale(unit)
    assert not is_another(written, unit)


@pytest.mark.parametrize(
    ("written", "unit"), [("MW", "mW"), ("Mb", "MB"), ("Gb", "GB"), ("Tb", "TB"), ("MJ", "mJ")]
)
def test_letter_case_is_meaning_where_things_are_sold_in_both(written: str, unit: str) -> None:
    assert usual(written) == written
    assert is_another(written, unit)
    assert is_another(unit, written)


@pytest.mark.parametrize("written", ["mL", "L", "l", "W", "MB", "kB", "yards", "µm"])
def test_a_spelling_that_means_the_same_as_it_stands_stays(written: str) -> None:
    assert usual(written) == written


def test_nothing_is_a_thousandth_of_a_bit() -> None:
    assert scale("mb") is None
    assert not is_another("mb", "MB")


def test_letters_of_one_case_hide_which_prefix_is_meant() -> None:
    assert readings("MW") == readings("mw") == readings("Mw") == ("mW", "MW")
    assert readings("MWH") == ("mWh", "MWh")
    for unit in ("mW", "mWh", "MWh", "ML", "MB", "MHz", "KG", "M", "MBPS", "CM"):
        assert readings(unit) == (usual(unit),)


def test_a_unit_of_several_words_has_no_scale() -> None:
    assert scale("fl oz") is None
    assert scale("kg") == scale("KG")
    kilogram = scale("kg")
    assert kilogram is not None
    assert kilogram.base(Fraction(2)) == 2000
