"""What to show before a product so that a base model knows what is asked for, from the category's
schema alone: nothing of any other listing stands in a prompt made so."""

from collections.abc import Iterable

from schemas.category import Attribute
from serving.listing import Listing
from serving.prompt import Example
from serving.prompt_texts import hint


def schema_example(category: str, attributes: Iterable[Attribute]) -> Example:
    """What stands before each product of `category`: its attributes with their allowed values."""
    return Example(
        Listing(
            listing_id=category,
            category=category,
            title="the attributes that are asked for",
            description="; ".join(attribute_lines(attributes)),
        ),
        attributes=(),
        values={},
    )


def attribute_lines(attributes: Iterable[Attribute]) -> list[str]:
    """Each attribute with all of its allowed values, as far as a prompt has room for them."""
    return [f"{a.name} ({hint(a, len(a.values))})" for a in attributes]
