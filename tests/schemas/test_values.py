"""What is a legal value, how it is written, and when it is right."""

import copy
import pickle
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.category import Attribute, AttributeType
from schemas.rules import rules_of
from schemas.texts import one_line
from schemas.values import (
    format_answer,
    is_valid,
    matches,
    mend,
    parse_answer,
    parse_number,
    problem,
    refusal,
)

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
LENGTH = Attribute(name="Length", type=AttributeType.NUMBER, units=("in", "mm", "cm"))
GERMAN = Attribute(name="Länge", type=AttributeType.NUMBER, units=("mm", "kg"), locale="de-DE")
POWER = Attribute(name="Power", type=AttributeType.NUMBER, units=("mW", "W"))
STORAGE = Attribute(name="Storage", type=AttributeType.NUMBER, units=("MB", "GB"))
HEAT = Attribute(name="Heat", type=AttributeType.NUMBER, units=("°C", "K"), minimum=0, maximum=100)
MODEL = Attribute(name="Model", type=AttributeType.PATTERN, pattern=r"[A-Z][0-9]+|N/A|.*x.*")
LETTER = Attribute(name="Letter", type=AttributeType.ENUM, values=("m", "M", "Ångström", "none"))
EVERY = (COLOR, SIZES, WEIGHT, COUNT, DRY, CODE, NOTE, NOTES, SINCE, LENGTH, GERMAN, POWER, HEAT)

words = st.text(st.characters(exclude_characters="|", codec="utf-8"), max_size=40)
one_line_values = st.lists(
    words.map(one_line).filter(lambda text: mend(NOTES, [text]) == [text]), max_size=8, unique=True
)
# What sellers write, and what a fuzzer makes of it.
numbers = st.text("0123456789.,-−+½⅓ xX'\"٫٣５", max_size=8)
written = st.one_of(
    st.text(max_size=20),
    words,
    st.builds(
        "{}{}{}".format,
        numbers,
        st.sampled_from(("", " ", "  ")),
        st.sampled_from(
            ("", "kg", "KG", "g", "mm", "MM", "in", '"', "'", "℃", "K", "mW", "MW", "㎝", "- 5 mm")
        ),
    ),
    st.sampled_from(("N/A", "unknown", "-", "YES", "red", "ＲＥＤ", "s|m", "2024-02-29", "AB-123")),
)


@pytest.mark.parametrize(
    ("attribute", "line", "values"),
    [
        (COLOR, " red ", ["Red"]),
        (COLOR, "SKY BLUE", ["Sky  blue"]),
        (COLOR, "mauve", ["mauve"]),
        (COLOR, "  ", []),
        (SIZES, "m | s|M ||", ["M", "S"]),
        (WEIGHT, "1,200KG", ["1200 kg"]),
        (WEIGHT, "1,20 kg", ["1,20 kg"]),
        (LENGTH, ".5 in", ["0.5 in"]),
        (LENGTH, "1½in", ["1.5 in"]),
        (LENGTH, "1 ⅛ in", ["1.1250 in"]),
        (LENGTH, "５０㎝", ["50 cm"]),
        (LENGTH, "30 CM", ["30 cm"]),
        (LENGTH, "30 MM", ["30 mm"]),
        (LENGTH, '5"', ['5 "']),
        (LENGTH, "5-10 cm", ["5-10 cm"]),
        (GERMAN, "0,339 kg", ["0,339 kg"]),
        (GERMAN, "1.200 mm", ["1200 mm"]),
        (GERMAN, "1.200,50 mm", ["1200,50 mm"]),
        (HEAT, "−5 ℃", ["-5 °C"]),
        (POWER, "5 MW", ["5 MW"]),
        (POWER, "5 w", ["5 W"]),
        (STORAGE, "5 Mb", ["5 Mb"]),
        (STORAGE, "5 gb", ["5 GB"]),
        (LETTER, "M", ["M"]),
        (LETTER, "Ｍ", ["M"]),
        (LETTER, "A\u030angstro\u0308m", ["Ångström"]),
        (LETTER, "None", ["none"]),
        (LETTER, "N/A", []),
        (MODEL, "n/a", []),
        (MODEL, "N/A", ["N/A"]),
        (COUNT, "-", []),
        (DRY, "Unknown", []),
        (NOTE, "T\u00adBD", []),
        (NOTE, "\u200b", []),
        (NOTE, "cafe\u0301\x00 \x07noir", ["café noir"]),
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


@given(st.sampled_from(EVERY), written)
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
        (WEIGHT, "501 kg", "above 500 kg"),
        (WEIGHT, "500001 g", "above 500 kg"),
        (WEIGHT, "-1 g", "below 0"),
        (WEIGHT, "0,339 kg", "locale"),
        (WEIGHT, "1.200 kg", "locale"),
        (WEIGHT, "5-10 kg", "make the attribute a text, or two attributes"),
        (WEIGHT, "10 x 20 kg", "make the attribute a text, or one attribute for each"),
        (WEIGHT, "1/2 kg", "write decimals, such as 0.5"),
        (GERMAN, "1.2 kg", "the locale de-DE writes 1200,5 or 1.200,5"),
        (HEAT, "101 °C", "above 100 °C"),
        (HEAT, "273 K", "below 0 °C"),
        (NOTE, "N/A", "stands for no value; leave it out"),
        (NOTE, "\ud83d", "half of a character"),
        (WEIGHT, "nan kg", "no number"),
        (COUNT, "5 kg", "where none is asked for"),
        (COUNT, "1,23", "several ways"),
        (COUNT, "5²", "unit"),
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


@pytest.mark.parametrize(
    ("attribute", "one", "other"),
    [
        (WEIGHT, "1,200 G", "1200.0 g"),
        (WEIGHT, "1.2 kg", "1200 g"),
        (LENGTH, "1 in", "25.4 mm"),
        (LENGTH, ".5 in", "0.5 in"),
        (LENGTH, "½ in", "0.5 in"),
        (HEAT, "0 °C", "273.15 K"),
        (GERMAN, "1.200 mm", "1200 mm"),
        (STORAGE, "1 GB", "1000 MB"),
        (NOTE, "ﬁve\u200b", "FIVE"),
    ],
)
def test_values_that_mean_the_same_are_equal(attribute: Attribute, one: str, other: str) -> None:
    assert matches(attribute, [one], [other])
    assert matches(attribute, [other], [one])


@pytest.mark.parametrize(
    ("attribute", "one", "other"),
    [
        (LENGTH, ".5 in", "5 in"),
        (LENGTH, '5"', "5'"),
        (NOTE, '5"', "5'"),
        (NOTE, "5''", "5'"),
        (NOTE, ".5", "5"),
        (POWER, "5 mW", "5 MW"),
        (STORAGE, "5 MB", "5 Mb"),
        (WEIGHT, "1 kg", "1 g"),
        (LETTER, "m", "M"),
        (NOTE, "N/A", "unknown"),
    ],
)
def test_values_that_mean_something_else_are_not(
    attribute: Attribute, one: str, other: str
) -> None:
    assert not matches(attribute, [one], [other])
    assert not matches(attribute, [other], [one])


@given(st.sampled_from(EVERY), written, written)
def test_equality_has_no_direction_and_a_legal_value_is_equal_to_itself(
    attribute: Attribute, one: str, other: str
) -> None:
    first, second = mend(attribute, [one]), mend(attribute, [other])
    if first and second:
        assert matches(attribute, first, second) == matches(attribute, second, first)
    if is_valid(attribute, first):
        assert matches(attribute, first, list(first))
        assert attribute.multi_value or matches(attribute, [one], first)


@given(st.sampled_from(EVERY), written)
def test_mending_twice_changes_nothing_and_what_is_legal_stays_so(
    attribute: Attribute, text: str
) -> None:
    once = mend(attribute, [text])
    assert mend(attribute, once) == once
    if is_valid(attribute, [text]):
        assert is_valid(attribute, once)


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        (COLOR, "mauve", "not_allowed"),
        (WEIGHT, "heavy", "no_number"),
        (WEIGHT, "0,339 kg", "ambiguous_number"),
        (WEIGHT, "5–10 kg", "range"),
        (WEIGHT, "10 × 20 kg", "dimensions"),
        (WEIGHT, "5 lb", "unit"),
        (WEIGHT, "501 kg", "bounds"),
        (NOTE, "thirteen char", "too_long"),
        (NOTE, "tbd", "placeholder"),
        (CODE, "AB", "pattern"),
        (SINCE, "yesterday", "date"),
    ],
)
def test_a_refusal_has_a_word_to_count_by(attribute: Attribute, value: str, reason: str) -> None:
    found = refusal(attribute, [value])
    assert found is not None
    assert found.reason == reason


def test_a_schema_says_what_stands_for_no_value() -> None:
    own = NOTE.model_copy(update={"placeholders": ("wie Foto",)})
    assert mend(own, ["WIE FOTO"]) == []
    assert mend(own, ["N/A"]) == ["N/A"]
    assert mend(NOTE.model_copy(update={"placeholders": ()}), ["-"]) == ["-"]


def test_a_copy_of_an_attribute_is_read_by_its_own_rules() -> None:
    assert mend(COLOR, ["mauve"]) == ["mauve"]
    assert mend(COLOR.model_copy(update={"values": ("Mauve",)}), ["mauve"]) == ["Mauve"]
    for same in (copy.copy(COLOR), copy.deepcopy(COLOR), pickle.loads(pickle.dumps(COLOR))):
        assert mend(same, ["RED", "mauve"]) == ["Red", "mauve"]
        assert same == COLOR
        assert hash(same) == hash(COLOR)
    assert "rules" not in COLOR.model_dump_json()


def test_what_was_read_before_is_bounded_and_goes_with_the_attribute() -> None:
    many = Attribute(name="Many", type=AttributeType.TEXT)
    for number in range(1000):
        assert is_valid(many, mend(many, [f" {number} ", "x" * 5000][:1]))
    rules = weakref.ref(rules_of(many))
    found = rules()
    assert found is not None
    assert len(found.found) <= 256
    del many, found
    assert rules() is None


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
