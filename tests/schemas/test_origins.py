"""Where a value comes from, by what the seller was shown and what the seller submitted."""

import pytest

from schemas.category import Attribute, AttributeType
from schemas.origins import origins

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
    assert origins(BY_NAME, shown, submitted) == origin
