"""The view `suggestions`: one row per value that a live answer suggested."""

from schemas.events import Purpose, Status
from tests.streams.world import World, prediction, request, review

ROWS = (
    "SELECT attribute, value, confidence, accepted FROM suggestions ORDER BY listing_id, attribute"
)


def test_each_suggested_value_is_a_row_with_what_its_last_review_made_of_it(world: World) -> None:
    values = {"Colour": ["red"], "Height": [], "Style": ["loft", "plain"]}
    answer = prediction(request("a"), values=values, confidence={"Colour": 0.9, "Height": 0.2})
    world.feed(request("a"), answer)
    assert world.rows(ROWS) == [
        ("Colour", ["red"], 0.9, None),
        ("Style", ["loft", "plain"], None, None),
    ]
    world.feed(review(answer, submitted={"Colour": ["blue"], "Style": ["loft", "plain"]}))
    world.feed(review(answer, review_id="v2", submitted={"Colour": ["red"]}))
    assert [row[3] for row in world.rows(ROWS)] == [True, False]


def test_only_live_answers_that_are_ok_have_suggestions(world: World) -> None:
    values = {"Colour": ["red"]}
    order = request("a", request_id="q2", purpose=Purpose.BACKFILL)
    world.feed(request("a"), prediction(order, values=values))
    world.feed(prediction(request("b"), values=values, status=Status.EXPIRED))
    assert world.rows(ROWS) == []


def test_a_row_names_its_listing_and_seller(world: World) -> None:
    asked = request("a", seller_id="acme")
    world.feed(asked, prediction(asked, values={"Colour": ["red"]}))
    found = "SELECT listing_id, seller_id, category, adapter_id FROM suggestions"
    assert world.rows(found) == [("a", "acme", "Lamps", "base")]


def test_a_forgotten_listing_has_none(world: World) -> None:
    world.feed(request("a"), prediction(request("a"), values={"Colour": ["red"]}))
    world.forget("a")
    assert world.rows(ROWS) == []
