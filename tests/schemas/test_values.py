"""What is a legal value, how it is written, and when it is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.category import Attribute, AttributeType
from schemas.values import format_answer, is_valid, matches, parse_answer, parse_number, problem

COLOR = Attribute(name="Color", type=AttributeType.ENUM, values=("Red", "Sky  blue"))
SIZES = Attribute(name="Sizes", type=AttributeType.ENUM, values=("S", "M"), multi_value=True)
WEIGHT = Attribute(
    name="Weight", type=AttributeType.NUMBER, units=("kg", "g"), minimum=0, maximum=500
)
COUNT = Attribute(name="Count", type=AttributeType.NUMBER)
DRY = Attribute(name="Dry", type=AttributeType.BOOLEAN)
CODE = Attribute(name="Code", type=AttributeType.PATTERN, pattern=r"[A-Z]{2}-\d{3}")
NOTE = Attribute(name="Note", type=AttributeType.TEXT, max_length=12)
NOTES = Attribute(name="Notes", type=AttributeType.TEXT, multi_value=True)
SINCE = Attribute(name="Since", type=AttributeType.DATE)

words = st.text(st.characters(exclude_characters="|", codec="utf-8"), max_size=40)
one_line_values = st.lists(
    words.map(lambda text: " ".join(text.split())).filter(bool), max_size=8, unique=True
)


@pytest.mark.parametrize(
    ("attribute", "line", "values"),
    [
        (COLOR, " red ", ["Red"]),
        (COLOR, "SKY BLUE", ["Sky  blue"]),
        (COLOR, "mauve", ["mauve"]),
        (COLOR, "  ", []),
        (SIZES, "m | s|M ||", ["M", "S"]),
        (WEIGHT, "1,200KG", ["1,200 kg"]),
        (WEIGHT, "3 lb", ["3 lb"]),
        (WEIGHT, "heavy", ["heavy"]),
        (DRY, "YES", ["yes"]),
        (NOTE, "a | b", ["a | b"]),
    ],
)
def test_an_answer_is_read_in_the_schemas_spelling(
    attribute: Attribute, line: str, values: list[str]
) -> None:
    assert parse_answer(attribute, line) == values


@given(one_line_values)
def test_several_values_written_as_a_line_are_read_back(values: list[str]) -> None:
    assert parse_answer(NOTES, format_answer(values)) == values


@given(st.lists(st.sampled_from(("S", "M")), unique=True))
def test_allowed_values_written_as_a_line_are_read_back_and_legal(values: list[str]) -> None:
    assert parse_answer(SIZES, format_answer(values)) == values
    assert is_valid(SIZES, values) == bool(values)


@given(st.sampled_from((COLOR, SIZES, WEIGHT, COUNT, DRY, CODE, NOTE, NOTES, SINCE)), st.text())
def test_reading_an_answer_twice_changes_nothing_and_no_text_breaks_a_rule(
    attribute: Attribute, line: str
) -> None:
    values = parse_answer(attribute, line)
    assert parse_answer(attribute, format_answer(values)) == values
    assert is_valid(attribute, values) == (bool(values) and problem(attribute, values) is None)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (COLOR, "Red"),
        (WEIGHT, "500 g"),
        (WEIGHT, ".5 kg"),
        (COUNT, "-3"),
        (COUNT, "1,234.5"),
        (DRY, "no"),
        (CODE, "AB-123"),
        (NOTE, "twelve chars"),
        (SINCE, "2024-02-29"),
    ],
)
def test_a_legal_value_is_valid(attribute: Attribute, value: str) -> None:
    assert is_valid(attribute, [value])


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        (COLOR, "red", "not an allowed value"),
        (COLOR, "", "empty"),
        (WEIGHT, "5", "unit"),
        (WEIGHT, "5 lb", "unit"),
        (WEIGHT, "501 g", "above 500"),
        (WEIGHT, "-1 g", "below 0"),
        (WEIGHT, "nan kg", "no number"),
        (COUNT, "5 kg", "where none is asked for"),
        (COUNT, "1,23", "unit"),
        (DRY, "true", "neither yes nor no"),
        (CODE, "AB-1234", "does not match"),
        (CODE, "AB-" + "1" * 90, "longer than 80"),
        (NOTE, "thirteen char", "longer than 12"),
        (NOTE, "two\nlines", "one line"),
        (NOTES, "a|b", "separates"),
        (SINCE, "2023-02-29", "calendar"),
        (SINCE, "29.02.2024", "YYYY-MM-DD"),
    ],
)
def test_an_illegal_value_is_refused_with_its_reason(
    attribute: Attribute, value: str, reason: str
) -> None:
    assert reason in str(problem(attribute, [value]))
    assert not is_valid(attribute, [value])


def test_a_blank_is_no_problem_and_not_valid_either() -> None:
    assert problem(COLOR, []) is None
    assert not is_valid(COLOR, [])


def test_the_number_of_values_is_limited() -> None:
    assert "takes one" in str(problem(COLOR, ["Red", "Red"]))
    assert "at most 8" in str(problem(NOTES, [str(n) for n in range(9)]))


def test_a_number_is_split_from_its_unit() -> None:
    assert parse_number(" 1,200.5 mm ") == (1200.5, "mm")
    assert parse_number("mm 5") is None


def test_numbers_are_right_when_they_are_equal_in_the_same_unit() -> None:
    assert matches(WEIGHT, ["1,200 G"], ["1200.0 g"])
    assert not matches(WEIGHT, ["1.2 kg"], ["1200 g"])


def test_text_is_right_without_regard_to_case_space_and_outer_punctuation() -> None:
    assert matches(NOTE, ["  BLUE  sky."], ["blue sky"])
    assert not matches(NOTE, ["blue-sky"], ["blue sky"])


def test_several_values_are_right_as_a_set_and_spellings_each_on_its_own() -> None:
    assert matches(SIZES, ["M", "S"], ["S", "M"])
    assert not matches(SIZES, ["M"], ["S", "M"])
    assert matches(NOTE, ["1 inch"], ['1"', "1 Inch"])


def test_nothing_is_right_against_a_blank_and_a_blank_is_never_right() -> None:
    assert not matches(NOTE, ["a"], [])
    assert not matches(NOTE, [], ["a"])
