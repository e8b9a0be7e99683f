"""What sellers type and the schema refuses, as what the schema could become."""

from pathlib import Path
from typing import Any

from schemas.category import CategorySchema, CategorySchemas
from tests.streams.world import LAMP, SUBMITTED, World, prediction, request, review


def typed(world: World, seller: str, listing: str, **values: list[str]) -> None:
    asked = request(listing, seller_id=seller, request_id=f"q-{seller}-{listing}")
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, submitted={**SUBMITTED, **values}))


def proposals(world: World, columns: str = '"value", sellers') -> list[Any]:
    return world.rows(f"SELECT {columns} FROM proposals")


def test_a_value_that_two_sellers_typed_is_proposed_with_its_spellings(world: World) -> None:
    typed(world, "s1", "a", Colour=["Türkis"])
    typed(world, "s1", "b", Colour=["Türkis"])
    typed(world, "s2", "c", Colour=["turkis "])
    typed(world, "s3", "d", Colour=["TURKIZ"])
    columns = 'category, attribute, reason, "value", spellings, "count", sellers, acceptable'
    spellings = ["TURKIZ", "Türkis", "turkis"]
    assert proposals(world, columns) == [
        ("Lamps", "Colour", "not_allowed", "Türkis", spellings, 4, 3, True)
    ]
    assert proposals(world, "examples") == [(["a", "b", "c"],)]


def test_what_one_seller_typed_is_no_proposal_however_often(world: World) -> None:
    for number in range(5):
        typed(world, "s1", f"a{number}", Colour=["lilac"])
    assert proposals(world) == []


def test_how_many_sellers_it_takes_is_set(tmp_path: Path) -> None:
    world = World(tmp_path, drift={"proposal_sellers": 1})
    typed(world, "s1", "a", Colour=["lilac"])
    assert proposals(world) == [("lilac", 1)]
    world.pool.close()


def test_only_the_last_review_of_a_listing_counts(world: World) -> None:
    typed(world, "s1", "a", Colour=["lilac"])
    typed(world, "s2", "b", Colour=["lilac"])
    world.now_ms += 1
    asked = request("a", seller_id="s1", request_id="again")
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, submitted=SUBMITTED))
    assert proposals(world) == []


def test_values_with_other_digits_or_too_short_to_tell_stay_apart(world: World) -> None:
    for seller in ("s1", "s2"):
        for number, value in enumerate(("gold 14k", "gold 18k", "teal", "tea")):
            typed(world, seller, f"{seller}{number}", Colour=[value])
    assert {value for value, _ in proposals(world)} == {"gold 14k", "gold 18k", "teal", "tea"}


def test_units_and_bounds_are_shown_with_what_would_have_to_change(world: World) -> None:
    for seller in ("s1", "s2"):
        typed(world, seller, f"a-{seller}", Height=["30 parsec"])
    columns = '"value", reason, acceptable, change'
    assert proposals(world, columns) == [("30 parsec", "unit", False, "add the unit to `units`")]


def test_what_the_schema_in_force_allows_by_now_is_left_out(world: World) -> None:
    typed(world, "s1", "a", Colour=["Lilac"])
    typed(world, "s2", "b", Colour=["lilac"])
    assert len(proposals(world)) == 1
    colour, *others = LAMP.attributes
    colour = colour.model_copy(update={"values": (*colour.values, "lilac")})
    new = CategorySchema(category="Lamps", attributes=(colour, *others))
    world.pool.close()
    world.schemas = CategorySchemas([new])
    world.open()
    assert proposals(world) == []


def test_several_values_where_one_is_asked_for_are_shown_one_by_one(world: World) -> None:
    typed(world, "s1", "a", Colour=["red", "blue"])
    typed(world, "s2", "b", Height=["3 cm", "4 cm"])
    typed(world, "s3", "c", Height=["3 cm", "5 cm"])
    columns = '"value", reason, change, sellers'
    assert proposals(world, columns) == [("3 cm", "several", "set `multi_value`", 2)]
