"""Which of a catalog's values can be known from the text at all: those that stand in it.

A lower bound of what a reader could fill (a towel's `Machine Washable` may be guessed), and an
upper bound of what an extractor that only copies can get right.
"""

import re
from collections.abc import Sequence

from pydantic import BaseModel

from schemas.category import Attribute, AttributeType
from schemas.values import parse_number
from trainer.data.dataset import Row


class Knowable(BaseModel):
    """How many values of one type of attribute (`all` for all of them) stand in the text."""

    type: str
    values: int
    in_text: int


def knowable(rows: Sequence[Row]) -> list[Knowable]:
    """The counts over all labelled values of `rows`: all types together, then each type."""
    found: dict[str, list[bool]] = {"all": []}
    for row in rows:
        text = f"{row.listing.title}\n{row.listing.description}"
        for attribute in row.filled():
            stands = stands_in(text, attribute, row.values[attribute.name])
            found["all"].append(stands)
            found.setdefault(attribute.type.value, []).append(stands)
    return [
        Knowable(type=kind, values=len(stand), in_text=sum(stand)) for kind, stand in found.items()
    ]


def stands_in(text: str, attribute: Attribute, values: Sequence[str]) -> bool:
    """Whether `values` stand in `text`, as whole words and without regard to letter case.

    Of a number it is enough that the number stands there, with whatever unit. Of several values all
    must; of several spellings of one value (`attribute` takes one) one is enough.
    """
    folded = " ".join(text.casefold().split())
    found = [_one_stands_in(folded, attribute, value) for value in values]
    return all(found) if attribute.multi_value else any(found)


def _one_stands_in(folded: str, attribute: Attribute, value: str) -> bool:
    wanted = " ".join(value.casefold().split())
    if re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", folded):
        return True
    is_number = attribute.type is AttributeType.NUMBER
    number = parse_number(wanted, attribute.locale) if is_number else None
    if number is None:
        return False
    written = (text.replace(",", "") for text in re.findall(r"\d[\d,]*(?:\.\d+)?", folded))
    return any(float(text) == number[0] for text in written)
