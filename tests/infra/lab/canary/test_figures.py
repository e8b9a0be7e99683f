"""What is told of each canary follows from the topics alone."""

from itertools import count
from typing import Any

import pytest

from infra.lab.canary.figures import courses, exposed_share, unanswered
from infra.lab.chaos.evidence import Logged, Topics
from schemas.events import (
    BASE_ADAPTER,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    ModelEventKind,
    Status,
)
from schemas.experiment import Arm, Experiment
from streams.statistics.betting import BettingDifference

NAMES = ["Shade", "Base", "Cable", "Switch"]
EXPERIMENT = Experiment(
    name="canary:a1",
    arms=(Arm(name="parent", answers="champion"), Arm(name="canary", answers="adapter:a1")),
)


class Log:
    """Sellers come, one a second, and the conductor speaks."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.now_ms = 0
        self._offsets = count()

    def seller(self, arm: str, accepted: int, status: Status = Status.OK, by: str = "") -> None:
        self.now_ms += 1_000
        name = f"s{self.now_ms}"
        listing: dict[str, Any] = {"request_id": name, "listing_id": name, "seller_id": name}
        listing |= {"category": "Lamps", "category_schema_hash": "h"}
        answer = ListingPrediction(
            **listing,
            prediction_id=name,
            input_hash="i",
            status=status,
            requested=NAMES,
            arms={EXPERIMENT.name: arm},
            adapter_hash=by or ("a1" if arm == "canary" else BASE_ADAPTER),
        )
        shown = {n: ["x"] for n in NAMES}
        submitted = {n: ["x" if at < accepted else "y"] for at, n in enumerate(NAMES)}
        review = ListingReview(
            **listing, review_id=name, prediction_id=name, shown=shown, submitted=submitted
        )
        self.topics.requests.append(self._logged(ListingRequest(**listing)))
        self.topics.predictions.append(self._logged(answer))
        if status is Status.OK:
            self.topics.reviews.append(self._logged(review))

    def say(self, kind: ModelEventKind, **details: int) -> None:
        told = None if kind is ModelEventKind.PROMOTED else EXPERIMENT
        event = ModelEvent(
            kind=kind,
            pool="default",
            round=1,
            adapter_id="a1",
            adapter_hash="a1",
            experiment=told,
            details=dict(details),
        )
        self.topics.model_events.append(self._logged(event))

    def _logged(self, event: Any) -> Logged[Any]:
        return Logged(event, ("t", 0), next(self._offsets), self.now_ms)


@pytest.fixture
def harmful() -> Log:
    """Thirty pairs, canary last; the conductor decides on all of them two seconds later."""
    log = Log()
    log.say(ModelEventKind.EXPERIMENT_STARTED)
    for _ in range(30):
        log.seller("parent", 2)
        log.seller("canary", 0)
    log.now_ms += 2_000
    log.say(ModelEventKind.EXPERIMENT_ENDED, sellers=30, parent_sellers=30)
    return log


def test_the_deciding_review_is_where_the_sequence_first_refuted(harmful: Log) -> None:
    numbers = [(treated, 0.0 if treated else 0.5) for _ in range(30) for treated in (False, True)]
    needed = BettingDifference.over(numbers, 0.1).refuted_at(0.0)
    assert needed is not None
    [course] = courses(harmful.topics, cost=0.25, error=0.05, margin=0.05)
    assert (course.back, course.sellers, course.parents) == (True, 30, 30)
    assert course.needed == needed[0] < 30
    assert course.decided_s == 62 - 2 * needed[0]
    assert course.last_answer_s == 60 - 2 * needed[0]
    assert (course.exposed, course.live) == (30, 60)
    assert exposed_share(harmful.topics, [course]) == 0.5


def test_whom_the_parent_answered_in_its_place_is_not_counted(harmful: Log) -> None:
    [before] = courses(harmful.topics, 0.25, 0.05, 0.05)
    log = Log()
    log.say(ModelEventKind.EXPERIMENT_STARTED)
    log.seller("canary", 4, by=BASE_ADAPTER)
    log.topics.requests += harmful.topics.requests
    log.topics.predictions += harmful.topics.predictions
    log.topics.reviews += harmful.topics.reviews
    log.topics.model_events.append(harmful.topics.model_events[-1])
    [course] = courses(log.topics, 0.25, 0.05, 0.05)
    assert course.needed == before.needed


def test_where_most_sellers_decided_no_review_did() -> None:
    log = Log()
    log.say(ModelEventKind.EXPERIMENT_STARTED)
    for _ in range(5):
        log.seller("parent", 2)
        log.seller("canary", 2)
    log.say(ModelEventKind.PROMOTED, sellers=5, parent_sellers=5)
    [course] = courses(log.topics, 0.25, 0.05, 0.05)
    assert (course.back, course.sellers) == (False, 5)
    assert (course.needed, course.decided_s, course.last_answer_s) == (None, None, None)


def test_a_request_without_a_good_answer_is_lost() -> None:
    log = Log()
    log.seller("parent", 2)
    log.seller("parent", 2, status=Status.FAILED)
    log.topics.predictions.pop(0)
    assert unanswered(log.topics) == 2
