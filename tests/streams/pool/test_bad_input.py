"""What docs/bad-input.md says of reviews that do not fit, seen in the pool."""

from typing import Any

from tests.streams.world import World, prediction, request, review


def test_a_review_of_an_unknown_prediction_is_the_submission_and_no_acceptance(
    world: World,
) -> None:
    asked = request("a")
    answer = prediction(asked, filled=1)
    world.feed(asked, answer, review(answer, prediction_id="nobody knows"))
    assert world.rows("SELECT c_catalog, gap FROM samples") == [(1.0, 0.75)]
    assert world.rows("FROM acceptance_by_day") == []


def test_a_review_with_an_unknown_attribute_makes_no_gap_and_is_not_accepted(
    world: World,
) -> None:
    asked = request("a")
    answer = prediction(asked, filled=1)
    values: dict[str, Any] = {"Engine": ["V8"], "Colour": ["red"]}
    world.feed(asked, answer, review(answer, shown=values, submitted=values))
    assert world.rows("SELECT c_catalog, gap FROM samples") == [(0.25, 0.0)]
    assert world.rows("SELECT shown, accepted FROM acceptance_by_day") == [(2, 1)]


def test_the_first_review_of_an_identity_counts(world: World) -> None:
    asked = request("a")
    answer = prediction(asked, filled=1)
    once = review(answer, review_id="once")
    world.feed(asked, answer, once, review(answer, review_id="once", submitted={}))
    assert world.rows("SELECT c_catalog FROM samples") == [(1.0,)]
