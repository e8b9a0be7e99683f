"""Events in any order: what a late or outdated one changes, and what it does not.

The order of a whole log is drawn at random in test_store.py; here are the cases with a name. Two
answers to one request, and records that come twice, are in test_store.py as well.
"""

from schemas.events import BASE_ADAPTER, ModelEventKind
from tests.streams.world import World, prediction, request, review

K = ModelEventKind
SAMPLES = "SELECT listing_id, deficit, review_id FROM store.samples"


def test_a_review_before_its_prediction_makes_the_sample_when_that_comes(world: World) -> None:
    asked = request("a")
    answer = prediction(asked, 1)
    said = review(answer)
    world.feed(asked)
    world.feed(said)
    assert world.rows(SAMPLES) == []
    world.feed(answer)
    assert world.rows(SAMPLES) == [("a", 0.75, said.review_id)]
    assert world.rows("SELECT reviews, shown, accepted FROM acceptance_by_day") == [(1, 1, 1)]


def test_a_prediction_before_its_request_makes_the_sample_when_that_comes(world: World) -> None:
    asked = request("a")
    answer = prediction(asked, 1)
    said = review(answer)
    world.feed(answer)
    world.feed(said)
    assert world.rows(SAMPLES) == []
    world.feed(asked)
    assert world.rows(SAMPLES) == [("a", 0.75, said.review_id)]


def test_of_two_reviews_of_a_listing_the_last_wins_and_both_are_kept(world: World) -> None:
    answer = world.sell("a", filled=1)
    later = review(answer, review_id="later", submitted={"Colour": ["red"]})
    world.feed(later)
    world.feed(later, review(answer))  # both again: neither counts a second time
    assert world.rows(SAMPLES) == [("a", 0.0, "later")]
    assert world.rows("SELECT count(*) FROM store.reviews") == [(2,)]
    assert world.rows("SELECT reviews, shown, accepted FROM acceptance_by_day") == [(1, 1, 1)]


def test_a_review_after_its_listing_was_trained_on_changes_the_sample_and_no_round(
    world: World,
) -> None:
    world.sell_many(4)
    [round_] = world.step()
    said = review(prediction(request("l0")), review_id="later", submitted={"Style": ["loft"]})
    world.feed(said)
    world.train(K.REJECTED)
    world.step()
    assert ("l0", 0.25, "later") in world.rows(SAMPLES)
    assert world.rows("SELECT round FROM store.used WHERE listing_id = 'l0'") == [(1,)]
    assert world.rows("FROM pool") == []  # used stays used, whatever its deficit is now
    assert world.rows("SELECT count(*) FROM store.rounds") == [(1,)]
    assert [file.rows for file in round_.files] == [4, 1]


def test_a_prediction_by_an_adapter_that_is_no_longer_champion_counts_for_no_round(
    world: World,
) -> None:
    world.sell_many(4)
    world.step()
    adapter = world.train(K.PROPOSED)
    world.step()
    world.sell_many(4, "late", adapter_hash=BASE_ADAPTER)  # the base's, answered before it left
    assert world.rows("FROM pool") == []
    assert len(world.rows("FROM store.samples WHERE listing_id LIKE 'late%'")) == 4
    world.step()
    assert world.conductor.status() == "measuring again 0/4 (4 orders outstanding)"
    world.say(K.ROLLBACK_REQUESTED)
    world.step()
    assert len(world.rows("FROM pool")) == 4  # fresh again, as their adapter is champion again
    assert world.conductor.champion().hash == BASE_ADAPTER != adapter
