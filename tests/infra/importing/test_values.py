"""A cell is read as what it means, or refused where it can mean two things."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.importing.map import AttributeColumn, ValueRules
from infra.importing.records import ITEM
from infra.importing.values import ValueReader, mark_of, tidy
from schemas.markup import without_markup
from schemas.numbers import Number, read_number
from schemas.texts import one_line


def read(cell: str, kind: str = "text", unit: str = "", **rules: object) -> list[str]:
    own = {name: rules.pop(name) for name in ("locale", "list_separator") if name in rules}
    column = AttributeColumn.model_validate({"column": "c", "kind": kind, **own})
    return ValueReader(column, ValueRules.model_validate(rules)).read(cell, unit)[0]


def refused(cell: str, kind: str, **rules: object) -> str:
    column = AttributeColumn.model_validate({"column": "c", "kind": kind})
    values, faults = ValueReader(column, ValueRules.model_validate(rules)).read(cell)
    assert values == []
    return faults[0].reason


@pytest.mark.parametrize(
    ("cell", "mark", "expected"),
    [
        ("1,5", ",", "1.5"),
        ("1.234,5 kg", ",", "1234.5 kg"),
        ("1.234", ",", "1234"),
        ("1.234", ".", "1.2340"),
        ("1,234", ",", "1.2340"),
        ("1,234", ".", "1234"),
        ("1,5", "", "1.5"),
        ("1.5 kg", "", "1.5 kg"),
        ("0.339", "", "0.339"),
        ("0,339", "", "0.339"),
        ("1.234.567", "", "1234567"),
        ("12", "", "12"),
        ("-3 °C", "", "-3 °C"),
        ("2\u00a0500,00", ",", "2500.00"),
    ],
)
def test_a_number_is_written_with_a_dot(cell: str, mark: str, expected: str) -> None:
    (value,) = read(cell, "number", decimal_mark=mark)
    assert value == expected
    assert isinstance(read_number(value), Number), "the plain rule reads it"


@pytest.mark.parametrize("cell", ["1.234", "1,234", "12.345 kg"])
def test_a_number_with_two_readings_is_refused_until_the_map_says_which(cell: str) -> None:
    assert "set [values] decimal_mark" in refused(cell, "number")


def test_a_number_that_contradicts_the_map_is_refused() -> None:
    assert "can be read in several ways" in refused("1,5", "number", decimal_mark=".")


@pytest.mark.parametrize("cell", ["5-10 cm", "10 x 20 cm", "approx. ten", "3 to 4"])
def test_what_is_no_number_stays_as_it_is_for_the_schema_to_judge(cell: str) -> None:
    assert read(cell, "number", decimal_mark=".") == [cell]


def test_a_locale_of_the_column_goes_before_the_mark_of_all() -> None:
    assert read("1.234", "number", decimal_mark=".", locale="de-DE") == ["1234"]


def test_a_unit_of_another_column_is_put_behind_unless_the_cell_has_its_own() -> None:
    assert read("5", "number", unit="cm") == ["5 cm"]
    assert read("5 mm", "number", unit="cm") == ["5 mm"]
    assert read("5", "text", unit="cm") == ["5 cm"]
    assert read("small", "text", unit="cm") == ["small"]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("JA", "yes"), ("nein", "no"), ("TRUE", "yes"), ("oui", "yes"), ("✓", "yes"), ("No", "no")],
)
def test_booleans_in_many_languages(cell: str, expected: str) -> None:
    assert read(cell, "boolean") == [expected]


def test_the_words_of_the_map_are_the_only_ones() -> None:
    own: dict[str, Any] = {"true_words": ["vorhanden", "1"], "false_words": ["fehlt"]}
    assert read("Vorhanden", "boolean", **own) == ["yes"]
    assert "true_words" in refused("ja", "boolean", **own)
    assert "true_words" in refused("perhaps", "boolean")


def test_dates_are_iso_or_of_the_format_of_the_map() -> None:
    assert read("2024-03-04", "date") == ["2024-03-04"]
    assert read("2024-03-04T10:00:00Z", "date") == ["2024-03-04"]
    assert read("04/03/2024", "date", date_format="%d/%m/%Y") == ["2024-03-04"]
    assert read("04/03/2024", "date", date_format="%m/%d/%Y") == ["2024-04-03"]


def test_a_date_with_two_readings_is_refused_until_the_map_says_which() -> None:
    assert "date_format" in refused("03/04/2024", "date")
    assert "%d/%m/%Y" in refused("13/31/2024", "date", date_format="%d/%m/%Y")
    assert "YYYY-MM-DD" in refused("2024-02-30", "date")


def test_lists_are_split_at_the_separator_and_values_come_once() -> None:
    assert read("red; blue;red ;", list_separator=";") == ["red", "blue"]
    assert read("a|b", list_separator="") == ["a|b"]
    assert read(f"a|b{ITEM}c", list_separator="") == ["a|b", "c"], "a list of JSON"


def test_texts_are_tidied_and_half_characters_refused() -> None:
    assert read("  Cafe\u0301 \n au <b>lait</b> &amp; co\u0007") == ["Café au lait & co"]
    assert "half of a character" in refused("a\ud800", "text")


def test_html_stays_where_the_map_says_so() -> None:
    assert read("<b>x</b>", strip_html=False) == ["<b>x</b>"]


@pytest.mark.parametrize(
    ("text", "mark"),
    [("1,5", ","), ("1.5", "."), ("1.234", "?"), ("1,234.5", "."), ("1.234,5", ","), ("12", "")],
)
def test_the_mark_that_a_number_shows(text: str, mark: str) -> None:
    assert mark_of(text) == mark


PIECES = st.sampled_from(
    ["<p>", "</p>", "<br/>", "<BR />", "<b>", "</b>", "<span class='x'>", "<script>", "</script>",
     "&amp;", "&nbsp;", "&lt;b&gt;", "&amp;lt;", "&quot;", "&#39;", "&eacute;", "&notch", "<!--",
     "-->", "<XL>", "5 < 6", "R&D", "a", " b "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join))
def test_the_quick_way_takes_markup_out_as_the_thorough_one(text: str) -> None:
    assert tidy(text) == one_line(without_markup(text))
