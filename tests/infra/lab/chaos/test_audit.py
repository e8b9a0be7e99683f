"""The audit finds each fault in made-up logs, and nothing in a log where all went well."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

from infra.lab.chaos.audit import Audit, audit
from infra.lab.chaos.evidence import Logged, PoolRows, Topics
from infra.lab.chaos.run import compare
from schemas.events import (
    BASE_ADAPTER,
    Event,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    ModelEventKind,
    Purpose,
    RetrainRequest,
    Status,
)
from schemas.experiment import Arm, Experiment
from schemas.topic_names import BACKFILL, MODEL_EVENTS, PREDICTIONS, REQUESTS, RETRAIN, REVIEWS
from streams.replay.fingerprint import Fingerprint
from streams.replay.rebuild import Replayed

E = TypeVar("E", bound=Event)
KIND = ModelEventKind
TRITON_DOWN = [(100_000, 110_000)]


class World:
    """Two listings asked for, answered and reviewed; one round ordered, proposed and promoted.

    Tests put wrong things in and take right things out.
    """

    def __init__(self) -> None:
        self.topics = Topics()
        self.stored_requests: set[str] = set()
        self.stored_reviews: set[str] = set()
        self._offsets = count()
        for n in (1, 2):
            self.ask(f"r{n}")
            self.answer(f"r{n}", f"p{n}")
            self.review(f"v{n}", f"r{n}", f"p{n}")
        self.order_round(1)
        self.say(KIND.STARTED, 1)
        self.say(KIND.PROPOSED, 1)
        self.say(KIND.PROMOTED, 1, adapter="a1")
        self.pool = PoolRows(
            read_to={(t, 0): 1_000 for t in (REQUESTS, PREDICTIONS, REVIEWS)},
            requests=frozenset({"r1", "r2"}),
            predictions={"r1": "p1", "r2": "p2"},
            reviews=frozenset({"v1", "v2"}),
            samples=(("r1", "p1", "v1"), ("r2", "p2", "v2")),
            counted=2,
        )

    def audit(self) -> Audit:
        return audit(self.topics, self.pool, self.stored_requests, self.stored_reviews, TRITON_DOWN)

    def faults(self) -> list[tuple[str, str]]:
        return [(fault.kind, fault.what) for fault in self.audit().faults]

    def change_pool(self, **fields: object) -> None:
        self.pool = replace(self.pool, **fields)  # type: ignore[arg-type]

    def ask(self, request_id: str, topic: str = REQUESTS, at_ms: int = 0) -> None:
        event = ListingRequest(
            request_id=request_id,
            listing_id=f"l-{request_id}",
            category="Lamps",
            category_schema_hash="h",
            created_ms=at_ms,
        )
        if topic == REQUESTS:
            self.topics.requests.append(self._logged(event, topic, at_ms))
            self.stored_requests.add(request_id)
        else:
            self.topics.orders.append(self._logged(event, topic, at_ms))

    def answer(self, request_id: str, prediction_id: str, at_ms: int = 0, **fields: object) -> None:
        event = ListingPrediction.model_validate(
            {
                "prediction_id": prediction_id,
                "request_id": request_id,
                "listing_id": f"l-{request_id}",
                "category": "Lamps",
                "category_schema_hash": "h",
                "input_hash": "i",
                "status": Status.OK,
            }
            | fields
        )
        self.topics.predictions.append(self._logged(event, PREDICTIONS, at_ms))

    def review(self, review_id: str, request_id: str, prediction_id: str) -> None:
        event = ListingReview(
            review_id=review_id,
            prediction_id=prediction_id,
            request_id=request_id,
            listing_id=f"l-{request_id}",
            category="Lamps",
            category_schema_hash="h",
        )
        self.topics.reviews.append(self._logged(event, REVIEWS))
        self.stored_reviews.add(review_id)

    def order_round(self, number: int, attempt: int = 1, look: int = 1) -> None:
        event = RetrainRequest(
            pool="default",
            round=number,
            attempt=attempt,
            look=look,
            parent_id=BASE_ADAPTER,
            parent_hash=BASE_ADAPTER,
            selection="deficit",
            k=1,
            min_gap=0,
            files=[],
        )
        self.topics.rounds.append(self._logged(event, RETRAIN))

    def try_on_sellers(self, number: int, adapter: str, kind: ModelEventKind) -> None:
        arms = (
            Arm(name="parent", answers="champion"),
            Arm(name="canary", answers=f"adapter:{adapter}", adapter_hash=adapter),
        )
        event = ModelEvent(
            kind=kind,
            pool="default",
            round=number,
            adapter_hash=adapter,
            experiment=Experiment(name=f"canary:{adapter}", arms=arms),
        )
        self.topics.model_events.append(self._logged(event, MODEL_EVENTS))

    def say(
        self, kind: ModelEventKind, number: int, attempt: int = 1, adapter: str = "", look: int = 1
    ) -> None:
        event = ModelEvent(
            kind=kind,
            pool="default",
            round=number,
            attempt=attempt,
            look=look,
            adapter_hash=adapter or None,
        )
        self.topics.model_events.append(self._logged(event, MODEL_EVENTS))

    def _logged(self, event: E, topic: str, at_ms: int = 0) -> Logged[E]:
        return Logged(event, (topic, 0), next(self._offsets), at_ms)


@pytest.fixture
def world() -> World:
    return World()


def test_where_all_went_well_nothing_is_found(world: World) -> None:
    found = world.audit()
    assert found.faults == ()
    assert found.clean
    assert (found.requests, found.reviews, found.rounds, found.promotions) == (2, 2, 1, 1)


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


def _orders_a_round_twice(world: World) -> None:
    world.order_round(1)


def _says_an_event_twice(world: World) -> None:
    world.topics.model_events.append(world.topics.model_events[-1])


def _promotes_what_was_rejected(world: World) -> None:
    world.order_round(2)
    world.say(KIND.REJECTED, 2)
    world.say(KIND.PROMOTED, 2, adapter="a2")


def _tries_again_what_had_not_failed(world: World) -> None:
    world.order_round(1, attempt=2)
    world.say(KIND.REJECTED, 1, attempt=2)


def _ends_a_round_that_nobody_ordered(world: World) -> None:
    world.say(KIND.REJECTED, 7)


def _promotes_an_adapter_by_two_rounds(world: World) -> None:
    world.order_round(2)
    world.say(KIND.PROMOTED, 2, adapter="a1")


def _leaves_a_round_open(world: World) -> None:
    world.order_round(2)
    world.order_round(3)
    world.say(KIND.REJECTED, 3)


def _moves_a_seller_to_another_arm(world: World) -> None:
    for n, arm in ((3, "parent"), (4, "canary")):
        world.ask(f"r{n}")
        world.answer(f"r{n}", f"p{n}", seller_id="s1", arms={"titles": arm})


def _starts_a_canary_twice(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)


def _ends_a_canary_twice(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)


def _ends_a_canary_and_promotes_it(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)
    world.say(KIND.PROMOTED, 2, adapter="a2")


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
        (_orders_a_round_twice, "doubled", "attempt 1 at round 1 was ordered twice"),
        (_says_an_event_twice, "doubled", "stands in its topic twice"),
        (
            _promotes_what_was_rejected,
            "doubled",
            "attempt 1 at round 2 was closed by rejected, promoted",
        ),
        (
            _tries_again_what_had_not_failed,
            "doubled",
            "round 1 was tried again, and had not failed",
        ),
        (
            _ends_a_round_that_nobody_ordered,
            "strange",
            "attempt 1 at round 7 ended and was not ordered",
        ),
        (_promotes_an_adapter_by_two_rounds, "doubled", "adapter a1 was promoted by two rounds"),
        (_moves_a_seller_to_another_arm, "strange", "s1 is in parent and in canary of titles"),
        (_starts_a_canary_twice, "doubled", "canary:a2 was started twice"),
        (_ends_a_canary_twice, "doubled", "canary:a2 was ended, and did not run"),
        (
            _ends_a_canary_and_promotes_it,
            "doubled",
            "attempt 1 at round 2 was closed by experiment_ended, promoted",
        ),
        (_leaves_a_round_open, "unanswered", "attempt 1 at round 2 was never closed"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_fault_is_found_and_named(
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


def test_a_failed_round_is_tried_again_and_the_last_one_may_be_under_way(world: World) -> None:
    world.order_round(2)
    world.say(KIND.FAILED, 2)
    world.say(KIND.REJECTED, 2)  # the trainer was late, and nobody listens any more
    world.order_round(2, attempt=2)
    assert world.faults() == []
    assert world.audit().closed_again == 1


def test_an_undecided_round_is_judged_again_and_ends_each_time(world: World) -> None:
    world.order_round(2)
    world.say(ModelEventKind.CHALLENGER, 2)
    world.order_round(2, look=2)
    world.say(ModelEventKind.REJECTED, 2, look=2)
    assert world.audit().clean
    world.order_round(2, look=2)
    assert ("doubled", "look 2 at round 2 was ordered twice") in world.faults()


def test_a_canary_answers_from_its_start_and_its_end_closes_the_round(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.ask("r3")
    world.answer("r3", "p3", adapter_hash="a2", arms={"canary:a2": "canary"})
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)
    world.order_round(3)
    world.change_pool(
        requests=world.pool.requests | {"r3"}, predictions={**world.pool.predictions, "r3": "p3"}
    )
    assert world.faults() == []
    assert (world.audit().canaries, world.audit().in_arms) == (1, 1)


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


def test_sellers_may_decide_about_a_challenger(world: World) -> None:
    world.order_round(2)
    world.say(KIND.CHALLENGER, 2, adapter="a2")
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.say(KIND.PROMOTED, 2, adapter="a2")
    assert world.faults() == []


def test_a_person_may_promote_an_adapter_as_often_as_they_like(world: World) -> None:
    for adapter in ("a1", "a0", "a1"):
        world.say(KIND.PROMOTED, 0, adapter=adapter)
    assert world.faults() == []


def test_expired_counts_apart_where_triton_was_down_meanwhile(world: World) -> None:
    for name, asked_ms, answered_ms in (("x1", 90_000, 105_000), ("x2", 120_000, 180_000)):
        world.ask(name, at_ms=asked_ms)
        world.answer(name, f"p-{name}", at_ms=answered_ms, status=Status.EXPIRED)
    world.change_pool(
        requests=world.pool.requests | {"x1", "x2"},
        predictions={**world.pool.predictions, "x1": "p-x1", "x2": "p-x2"},
    )
    found = world.audit()
    assert (found.expired, found.expired_with_triton) == (2, 1)
    assert found.expired_share == 1 / 4
    assert found.faults == ()
    assert not found.clean


def test_a_table_that_the_topics_do_not_give_and_a_pool_that_cannot_be_read_are_faults() -> None:
    same, other = Fingerprint(2, 1), Fingerprint(2, 5)
    rebuilt = Replayed(Path("pool"), {"reviews": same, "samples": same}, None, "it is locked")
    assert [fault.what for fault in compare(rebuilt)] == ["it is locked"]
    assert compare(replace(rebuilt, live=rebuilt.rebuilt)) == []
    [fault] = compare(replace(rebuilt, live={"reviews": same, "samples": other}))
    assert fault.kind == "strange"
    assert "the pool's samples are not those that the topics give" in fault.what
