"""Which categories of a source a catalog uses, by whatever it calls them."""

from collections import Counter

import pytest

from schemas.category import AttributeType
from schemas.errors import SchemaError
from schemas.sources.building import build
from schemas.sources.drafts import Draft
from schemas.sources.left_out import LeftOut
from schemas.sources.selecting import named, used_by
from schemas.sources.source import Source, SourceCategory


def category(identity: str, *path: str, **names: tuple[str, ...]) -> SourceCategory:
    return SourceCategory(
        identity, path, lambda: [Draft("c", "Color", AttributeType.TEXT)], **names
    )


SOURCE = Source(
    [
        category("1", "Kitchen"),
        category("2", "Kitchen", "Mugs", also=("Cups",)),
        category("3", "Kitchen", "Kettles"),
        category("4", "Garden", "Lights", former=("Garden > Lamps",)),
        category("5", "Garden", "Chairs"),
        category("6", "Office", "Chairs"),
    ],
    LeftOut(),
)


@pytest.mark.parametrize(
    "name", ["Kitchen > Mugs", "2", "Mugs", "Cups", "mugs ", "KITCHEN > MUGS", "ＭＵＧＳ"]
)
def test_a_category_goes_by_full_name_id_last_name_and_others(name: str) -> None:
    selection = used_by(SOURCE, Counter({name: 3}))
    assert [found.id for found, _ in selection.categories] == ["2"]
    assert selection.unknown == []


def test_what_the_catalog_calls_it_is_an_alias_so_that_its_products_are_found() -> None:
    selection = used_by(SOURCE, Counter({"Mugs": 1, "2": 1, "Kitchen > Mugs": 1}))
    (mugs,) = build(selection, LeftOut()).categories
    assert mugs.schema.names == ("Kitchen > Mugs", "2", "Mugs")


def test_a_former_name_stays_an_alias() -> None:
    selection = used_by(SOURCE, Counter({"Garden > Lamps": 1}))
    (lights,) = build(selection, LeftOut()).categories
    assert lights.schema.names == ("Garden > Lights", "Garden > Lamps")


def test_unknown_and_ambiguous_categories_are_counted_with_the_nearest_names() -> None:
    selection = used_by(SOURCE, Counter({"Kettels": 7, "Chairs": 9, "Zebras": 1}))
    assert selection.categories == []
    assert [(one.name, one.products) for one in selection.unknown] == [
        ("Chairs", 9),
        ("Kettels", 7),
        ("Zebras", 1),
    ]
    assert [one.nearest for one in selection.unknown] == [
        ("Garden > Chairs", "Office > Chairs"),
        ("Kitchen > Kettles",),
        (),
    ]


def test_a_named_category_comes_with_all_below_it() -> None:
    assert [c.id for c, _ in named(SOURCE, ["Kitchen", "4"]).categories] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("name", ["Office", "office", "Office>Seats", "Seats"])
def test_a_group_that_is_no_category_itself_can_be_named(name: str) -> None:
    source = Source([category("1", "Office", "Seats", "Chairs"), category("2", "Home")], LeftOut())
    assert [c.id for c, _ in named(source, [name]).categories] == ["1"]


def test_a_named_category_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(SchemaError, match="no category 'Kettels'; the nearest are 'Kitchen > Ket"):
        named(SOURCE, ["Kettels"])


def test_an_alias_that_is_another_categorys_name_is_left_to_that_one() -> None:
    source = Source([category("Mugs", "Kettles"), category("2", "Mugs")], LeftOut())
    selection = used_by(source, Counter({"Mugs": 1, "Kettles": 1}))
    names = [one.schema.names for one in build(selection, LeftOut()).categories]
    assert names[0] == ("Kettles",)
