"""A schema that was replaced is still found by its hash, for a while."""

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.versions import KEPT, SchemaVersions, changed_categories


def lamps(*colours: str) -> CategorySchema:
    colour = Attribute(name="Colour", type=AttributeType.ENUM, values=colours)
    return CategorySchema(category="Lamps", attributes=(colour,))


SHOES = CategorySchema(category="Shoes", attributes=())


def test_a_hash_finds_the_schema_that_it_was_made_under() -> None:
    old, new = lamps("red"), lamps("red", "blue")
    versions = SchemaVersions(CategorySchemas([old]))
    versions.replace(CategorySchemas([new]))
    assert versions.current["Lamps"] is new
    assert versions.made_under("Lamps", old.hash) is old
    assert versions.made_under("Lamps", new.hash) is new
    assert versions.made_under("Lamps", "another") is None
    assert versions.made_under("Shoes", old.hash) is None


def test_an_empty_hash_is_the_schema_in_force() -> None:
    old, new = lamps("red"), lamps("red", "blue")
    versions = SchemaVersions(CategorySchemas([old]))
    assert versions.made_under("Lamps", "") is old
    versions.replace(CategorySchemas([new]))
    assert versions.made_under("Lamps", "") is new
    assert versions.made_under("Shoes", "") is None


def test_no_more_than_the_last_few_are_kept() -> None:
    all_ = [lamps(f"colour {number}") for number in range(KEPT + 2)]
    versions = SchemaVersions(CategorySchemas([all_[0]]))
    for schema in all_[1:]:
        versions.replace(CategorySchemas([schema]))
    found = [versions.made_under("Lamps", schema.hash) for schema in all_]
    assert found == [None, *all_[1:]]


def test_a_category_that_did_not_change_is_there_once() -> None:
    versions = SchemaVersions(CategorySchemas([lamps("red"), SHOES]))
    versions.replace(CategorySchemas([lamps("blue"), SHOES.model_copy()]))
    assert versions.current["Shoes"] is SHOES


def test_categories_that_came_went_or_changed_are_told_by_name() -> None:
    before = CategorySchemas([lamps("red"), SHOES])
    after = CategorySchemas([lamps("blue"), CategorySchema(category="Boats", attributes=())])
    assert changed_categories(before, after) == ["Boats", "Lamps", "Shoes"]
    assert changed_categories(before, before) == []
