"""Where a value comes from, by what the seller was shown and what the seller submitted."""

import pytest

from schemas.category import Attribute, AttributeType
from schemas.origins import in_full, in_short, origins

COLOUR = Attribute(name="Colour", type=AttributeType.ENUM, values=("red", "blue"))
USES = Attribute(name="Uses", type=AttributeType.TEXT, multi_value=True)
BY_NAME = {"Colour": COLOUR, "Uses": USES}


@pytest.mark.parametrize(
    ("shown", "submitted", "origin"),
    [
        ({}, {"Colour": ["red"]}, {"Colour": "typed"}),
        ({"Colour": []}, {"Colour": ["red"]}, {"Colour": "typed"}),
        ({"Colour": ["blue"]}, {"Colour": ["red"]}, {"Colour": "changed"}),
        ({"Colour": ["red"]}, {"Colour": ["red"]}, {"Colour": "accepted"}),
        ({"Colour": ["red"]}, {"Colour": ["Red"]}, {"Colour": "accepted"}),  # the same value
        ({"Uses": ["tea", "soup"]}, {"Uses": ["soup", "tea"]}, {"Uses": "accepted"}),
        ({"Uses": ["tea"]}, {"Uses": ["tea", "soup"]}, {"Uses": "changed"}),
        ({"Colour": ["red"]}, {"Colour": []}, {}),  # a blank comes from nowhere
        ({"Colour": ["red"]}, {}, {}),
        ({"Engine": ["V8"]}, {"Engine": ["V8"], "Colour": ["red"]},
         {"Engine": "unknown", "Colour": "typed"}),
    ],
)  # fmt: skip
def test_a_value_is_typed_changed_or_accepted(
    shown: dict[str, list[str]], submitted: dict[str, list[str]], origin: dict[str, str]
) -> None:
    found = origins(BY_NAME, shown, submitted)
    assert found == origin
    assert in_full(in_short(found, submitted), submitted) == found


def test_in_short_there_is_a_letter_for_each_attribute_submitted() -> None:
    submitted = {"Uses": ["tea"], "Colour": [], "Engine": ["V8"], "Size": ["S"]}
    found = origins(BY_NAME, {"Uses": ["tea"], "Engine": ["V8"]}, submitted)
    assert in_short(found, submitted) == "a-ut"
