"""`open`: a list of values, and others are allowed."""

import pytest

from schemas.category import Attribute, AttributeType
from schemas.values import parse_answer, problem

BRAND = Attribute(
    name="Brand", type=AttributeType.ENUM, values=("Norvik", "AEG"), open=True, max_length=10
)


def test_a_value_of_the_list_is_mended_and_any_other_text_is_legal() -> None:
    assert parse_answer(BRAND, "aeg") == ["AEG"]
    assert parse_answer(BRAND, "Siemens") == ["Siemens"]
    assert problem(BRAND, ["AEG"]) is problem(BRAND, ["Siemens"]) is None


def test_another_text_is_bounded_as_texts_are() -> None:
    assert "longer than 10 characters" in str(problem(BRAND, ["x" * 11]))
    assert "more than one line" in str(problem(BRAND, ["two\nlines"]))


def test_only_an_enum_can_be_open() -> None:
    with pytest.raises(ValueError, match="`open` is for an enum only"):
        Attribute(name="Brand", type=AttributeType.TEXT, open=True)
    with pytest.raises(ValueError, match="at least one entry"):
        Attribute(name="Brand", type=AttributeType.ENUM, open=True)
