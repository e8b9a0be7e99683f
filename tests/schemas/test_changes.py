"""What one schema file says other than the one before."""

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.changes import Change, Kind, changes

COLOUR = Attribute(name="Color", type=AttributeType.ENUM, values=("red", "blue"))
STYLE = Attribute(name="Style", type=AttributeType.TEXT)


def lamps(*attributes: Attribute, **fields: object) -> CategorySchemas:
    return CategorySchemas(
        [CategorySchema.model_validate({"category": "Lamps", "attributes": attributes} | fields)]
    )


BEFORE = lamps(COLOUR, STYLE)


def test_equal_files_have_no_changes_and_words_for_people_are_none() -> None:
    described = COLOUR.model_copy(update={"description": "as on the box", "required": True})
    assert changes(BEFORE, BEFORE) == changes(BEFORE, lamps(described, STYLE)) == []


def test_an_attribute_of_another_name_is_gone_and_new_without_an_alias() -> None:
    renamed = COLOUR.model_copy(update={"name": "Colour"})
    place = ("Lamps", "Color"), ("Lamps", "Colour")
    assert changes(BEFORE, lamps(renamed, STYLE)) == [
        Change(Kind.GONE, place[0], None),
        Change(Kind.NEW, None, place[1]),
    ]
    aliased = renamed.model_copy(update={"aliases": ("Color",)})
    assert changes(BEFORE, lamps(aliased, STYLE)) == [Change(Kind.RENAMED, *place)]
    assert changes(lamps(aliased, STYLE), lamps(renamed, STYLE)) == [
        Change(Kind.CHANGED, place[1], place[1])
    ]


def test_what_an_attribute_allows_is_a_change() -> None:
    narrower = COLOUR.model_copy(update={"values": ("red",)})
    place = ("Lamps", "Color")
    assert changes(BEFORE, lamps(narrower, STYLE)) == [Change(Kind.CHANGED, place, place)]


def test_a_category_is_gone_new_or_renamed_as_an_attribute_is() -> None:
    gone, new = ("Lamps", None), ("Lights", None)
    assert changes(BEFORE, lamps(COLOUR, STYLE, category="Lights")) == [
        Change(Kind.GONE, gone, None),
        Change(Kind.NEW, None, new),
    ]
    lights = lamps(COLOUR, category="Lights", aliases=["Lamps"])
    assert changes(BEFORE, lights) == [
        Change(Kind.RENAMED, gone, new),
        Change(Kind.GONE, ("Lamps", "Style"), None),
    ]
