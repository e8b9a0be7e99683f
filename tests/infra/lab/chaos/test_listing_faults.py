"""The audit finds each fault around listings in made-up logs."""

from collections.abc import Callable

import pytest

from infra.lab.chaos.evidence import Logged
from schemas.events import (
    ModelEvent,
    Purpose,
    Status,
)
from schemas.experiment import Arm, Experiment
from schemas.topic_names import BACKFILL, MODEL_EVENTS
from tests.infra.lab.chaos.logs import KIND, World


def _loses_a_request(world: World) -> None:
    world.stored_requests.add("r9")


def _loses_a_review(world: World) -> None:
    world.stored_reviews.add("v9")


def _buries_valid_events(world: World) -> None:
    world.topics.dead_letters = 1


def _stores_a_request_twice(world: World) -> None:
    world.ask("r1")


def _stores_a_review_twice(world: World) -> None:
    world.review("v1", "r1", "p1")


def _leaves_a_request_unanswered(world: World) -> None:
    world.ask("r3")
    world.change_pool(requests=world.pool.requests | {"r3"})


def _passes_an_order_over(world: World) -> None:
    world.ask("o1", BACKFILL)
    world.topics.answered_to = {(BACKFILL, 0): 1_000}


def _fails_a_valid_request(world: World) -> None:
    world.ask("r3")
    world.answer("r3", "p3", status=Status.FAILED, error="the engine failed 3 times")
    world.change_pool(
        requests=world.pool.requests | {"r3"}, predictions={**world.pool.predictions, "r3": "p3"}
    )


def _answers_what_nobody_asked(world: World) -> None:
    world.answer("r9", "p9")
    world.change_pool(predictions={**world.pool.predictions, "r9": "p9"})


def _answers_by_an_adapter_that_was_not_promoted(world: World) -> None:
    world.ask("r3")
    world.answer("r3", "p3", adapter_hash="a9")
    world.change_pool(
        requests=world.pool.requests | {"r3"}, predictions={**world.pool.predictions, "r3": "p3"}
    )


def _drops_a_request_from_the_pool(world: World) -> None:
    world.change_pool(requests=frozenset({"r1"}))


def _drops_a_review_from_the_pool(world: World) -> None:
    world.change_pool(reviews=frozenset({"v1"}))


def _drops_an_answer_from_the_pool(world: World) -> None:
    world.change_pool(predictions={"r1": "p1"}, samples=(("r1", "p1", "v1"),))


def _has_a_review_that_no_topic_has(world: World) -> None:
    world.change_pool(reviews=world.pool.reviews | {"v9"})


def _takes_the_second_answer(world: World) -> None:
    world.answer("r1", "p1b")
    world.change_pool(predictions={"r1": "p1b", "r2": "p2"})


def _counts_a_review_twice(world: World) -> None:
    world.change_pool(counted=3)


def _forgets_to_count_a_review(world: World) -> None:
    world.change_pool(counted=1)


def _shows_a_seller_the_second_answer(world: World) -> None:
    world.answer("r1", "p1b")
    world.review("v3", "r1", "p1b")
    world.change_pool(reviews=world.pool.reviews | {"v3"})


def _measures_a_gap_on_the_second_answer(world: World) -> None:
    world.answer("r1", "p1b")
    world.change_pool(samples=(("r1", "p1b", "v1"), ("r2", "p2", "v2")))


def _measures_a_gap_of_nothing(world: World) -> None:
    world.change_pool(samples=(*world.pool.samples, ("r9", "p9", "v9")))


def _measures_a_gap_on_a_text_that_was_not_reviewed(world: World) -> None:
    world.ask("r3")
    world.answer("r3", "p3", input_hash="another text")
    world.change_pool(
        requests=world.pool.requests | {"r3"},
        predictions={**world.pool.predictions, "r3": "p3"},
        samples=(("r3", "p3", "v1"), ("r2", "p2", "v2")),
    )


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (_loses_a_request, "lost", "request r9 was confirmed, and its topic lacks it"),
        (_loses_a_review, "lost", "review v9 was confirmed, and its topic lacks it"),
        (_buries_valid_events, "lost", "1 valid events became dead letters"),
        (_stores_a_request_twice, "doubled", "request r1 stands in its topic twice"),
        (_stores_a_review_twice, "doubled", "review v1 stands in its topic twice"),
        (_leaves_a_request_unanswered, "unanswered", "request r3 has no answer"),
        (_passes_an_order_over, "unanswered", "order o1 was passed over"),
        (_fails_a_valid_request, "failed", "request r3: the engine failed 3 times"),
        (_answers_what_nobody_asked, "strange", "an answer to request r9, which nobody sent"),
        (
            _answers_by_an_adapter_that_was_not_promoted,
            "strange",
            "request r3 was answered by a9, which had no leave yet",
        ),
        (_drops_a_request_from_the_pool, "lost", "request r2 was read, and the pool lacks it"),
        (_drops_a_review_from_the_pool, "lost", "review v2 was read, and the pool lacks it"),
        (_drops_an_answer_from_the_pool, "lost", "answer to r2 was read, and the pool lacks it"),
        (
            _has_a_review_that_no_topic_has,
            "strange",
            "review v9 is in the pool, and not in the topics",
        ),
        (_takes_the_second_answer, "doubled", "the pool took a later answer to request r1"),
        (_counts_a_review_twice, "doubled", "2 answers were reviewed, and acceptance counts 3"),
        (_forgets_to_count_a_review, "lost", "2 answers were reviewed, and acceptance counts 1"),
        (
            _shows_a_seller_the_second_answer,
            "doubled",
            "review v3 acts on an answer that is not the first",
        ),
        (
            _measures_a_gap_on_the_second_answer,
            "doubled",
            "the gap of request r1 is by a later answer",
        ),
        (
            _measures_a_gap_of_nothing,
            "strange",
            "a gap of request r9, which the topics do not give",
        ),
        (
            _measures_a_gap_on_a_text_that_was_not_reviewed,
            "strange",
            "the gap of request r3 is on a text not reviewed",
        ),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_fault_around_listings_is_found_and_named(
    world: World, fault: Callable[[World], None], kind: str, said: str
) -> None:
    fault(world)
    assert not world.audit().clean
    assert any(k == kind and said in what for k, what in world.faults()), world.faults()


def test_what_the_pool_has_not_read_yet_is_not_lost(world: World) -> None:
    world.change_pool(read_to={}, requests=frozenset(), predictions={}, reviews=frozenset())
    world.change_pool(samples=(), counted=0)
    assert world.faults() == []


def test_a_second_answer_that_nobody_acted_on_is_no_fault(world: World) -> None:
    world.answer("r1", "p1b")
    assert world.faults() == []
    assert world.audit().answered_again == 1


def test_an_order_that_was_sent_twice_and_one_not_reached_yet_are_no_faults(world: World) -> None:
    world.ask("o1", BACKFILL)
    world.ask("o1", BACKFILL)
    world.answer("o1", "po", purpose=Purpose.BACKFILL, status=Status.SUPERSEDED)
    world.ask("o2", BACKFILL)
    world.topics.answered_to = {(BACKFILL, 0): world.topics.orders[-1].offset}
    world.change_pool(predictions={**world.pool.predictions, "o1": "po"})
    assert world.faults() == []
    assert world.audit().ordered_again == 1


def test_who_was_shown_nothing_is_not_counted_in_acceptance(world: World) -> None:
    arms = (Arm(name="today", answers="champion"), Arm(name="none", answers="blind"))
    event = ModelEvent(
        kind=KIND.EXPERIMENT_STARTED,
        pool="default",
        round=0,
        experiment=Experiment(name="titles", arms=arms),
    )
    world.topics.model_events.append(Logged(event, (MODEL_EVENTS, 0), 99, 0))
    world.ask("r3")
    world.answer("r3", "p3", adapter_hash="blind", arms={"titles": "none"})
    world.review("v3", "r3", "p3")
    world.change_pool(
        requests=world.pool.requests | {"r3"},
        predictions={**world.pool.predictions, "r3": "p3"},
        reviews=world.pool.reviews | {"v3"},
    )
    assert world.faults() == []
