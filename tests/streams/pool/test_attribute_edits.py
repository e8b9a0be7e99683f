"""Which attribute is corrected most, and into what, is one SELECT."""

from typing import Any

from schemas.events import Purpose
from tests.streams.pool.test_renames import RENAMED
from tests.streams.pool.test_schema_change import change
from tests.streams.world import World, prediction, request, review

EDITS = (
    "SELECT attribute, suggested, accepted, changed, blanked, typed FROM attribute_edits "
    "ORDER BY attribute"
)


def sell(
    world: World, listing: str, values: dict[str, list[str]], submitted: Any, **changes: Any
) -> None:
    answer = prediction(request(listing), values=values, **changes)
    world.feed(request(listing), answer, review(answer, submitted=submitted))


def test_each_value_was_accepted_changed_blanked_or_typed(world: World) -> None:
    sell(world, "a", {"Colour": ["red"], "Style": ["loft"]}, {"Colour": ["red"], "Style": []})
    sell(world, "b", {"Colour": ["red"], "Style": []}, {"Colour": ["blue"], "Height": ["3 cm"]})
    assert world.rows(EDITS) == [
        ("Colour", 2, 1, 1, 0, 0),
        ("Height", 0, 0, 0, 0, 1),
        ("Style", 1, 0, 0, 1, 0),
    ]


def test_the_most_corrected_stands_first_with_what_it_became_and_how_sure_it_was(
    world: World,
) -> None:
    for n, (given, sure) in enumerate([("blue", 0.9), ("blue", 0.8), ("green", 0.7)]):
        sell(
            world,
            f"l{n}",
            {"Colour": ["red"], "Style": ["loft"]},
            {"Colour": [given, "|\"quoted'"], "Style": ["loft"]},
            confidence={"Colour": sure, "Style": 1.0, "Height": 0.1},
        )
    [first, second] = world.rows(
        "SELECT category, attribute, adapter_id, changed, round(confidence, 3), changed_to "
        "FROM attribute_edits"
    )
    assert first == (
        "Lamps", "Colour", "base", 3, 0.8,
        [{"value": "blue | |\"quoted'", "count": 2}, {"value": "green | |\"quoted'", "count": 1}],
    )  # fmt: skip
    assert second == ("Lamps", "Style", "base", 0, 1.0, [])


def test_the_last_review_of_each_live_answer_counts_and_no_order(world: World) -> None:
    answer = prediction(request("a"), values={"Colour": ["red"]})
    world.feed(request("a"), answer, review(answer, submitted={"Colour": ["blue"]}))
    world.feed(review(answer, review_id="v2", submitted={"Colour": ["red"]}))
    order = prediction(
        request("a", request_id="q2", purpose=Purpose.BACKFILL), values={"Colour": ["blue"]}
    )
    world.feed(order, review(order, submitted={"Colour": ["red"]}))
    assert world.rows(EDITS) == [("Colour", 1, 1, 0, 0, 0)]


def test_adapters_are_counted_apart_and_a_renamed_category_is_one(world: World) -> None:
    sell(world, "a", {"Style": ["loft"]}, {"Style": ["loft"]})
    sell(world, "b", {"Style": ["loft"]}, {"Style": ["plain"]}, adapter_id="r1")
    change(world, RENAMED)
    assert world.rows(
        "SELECT category, adapter_id, accepted, changed FROM attribute_edits ORDER BY adapter_id"
    ) == [("Lights", "base", 1, 0), ("Lights", "r1", 0, 1)]


def test_a_file_from_before_confidence_was_kept_has_none(world: World) -> None:
    sell(world, "a", {"Style": ["loft"]}, {"Style": ["loft"]}, confidence={"Style": 0.5})
    for column in ("confidence", "missing_required"):
        world.pool.con.execute(f"ALTER TABLE store.predictions DROP COLUMN {column}")
    world.reopen()
    assert world.rows("SELECT accepted, confidence FROM attribute_edits") == [(1, None)]
    sell(world, "b", {"Style": ["loft"]}, {"Style": ["loft"]}, confidence={"Style": 0.5})
    assert world.rows("SELECT accepted, confidence FROM attribute_edits") == [(2, 0.5)]


def test_status_counts_the_champions_answers_that_lack_what_is_required(world: World) -> None:
    world.feed(prediction(request("a"), missing_required=["Colour"]))
    world.feed(prediction(request("b"), missing_required=["Colour"], adapter_hash="f" * 64))
    world.feed(prediction(request("c")))
    assert world.rows("SELECT missing_required FROM status") == [(1,)]
