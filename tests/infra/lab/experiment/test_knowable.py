"""Which values stand in the text."""

import pytest

from infra.lab.experiment.knowable import knowable, stands_in
from schemas.category import Attribute, AttributeType
from serving.listing import Listing
from trainer.data.dataset import Row

COLOUR = Attribute(name="colour", type=AttributeType.ENUM, values=("Red", "Blue"))
WEIGHT = Attribute(name="weight", type=AttributeType.NUMBER, units=("g", "kg"))
USES = Attribute(name="uses", type=AttributeType.TEXT, multi_value=True)


@pytest.mark.parametrize(
    ("text", "attribute", "values", "stands"),
    [
        ("a RED mug", COLOUR, ["Red"], True),
        ("a reduced mug", COLOUR, ["Red"], False),
        ("weighs 1,200 grams", WEIGHT, ["1200 g"], True),
        ("weighs 12000", WEIGHT, ["1200 g"], False),
        ("for tea and  soup", USES, ["tea", "soup"], True),
        ("for tea", USES, ["tea", "soup"], False),
        ("navy", COLOUR, ["dark blue", "navy"], True),
    ],
)
def test_a_value_stands_in_a_text(
    text: str, attribute: Attribute, values: list[str], stands: bool
) -> None:
    assert stands_in(text, attribute, values) is stands


def test_values_are_counted_by_type_and_all_together() -> None:
    row = Row(
        Listing("1", "Mugs", "red mug"), (COLOUR, WEIGHT), {"colour": ["Red"], "weight": ["5 g"]}
    )
    counts = {entry.type: (entry.values, entry.in_text) for entry in knowable([row])}
    assert counts == {"all": (2, 1), "enum": (1, 1), "number": (1, 0)}
