"""Made-up logs in which all went well, for tests to put wrong things in."""

from dataclasses import replace
from itertools import count
from typing import TypeVar

from infra.lab.chaos.audit import Audit, audit
from infra.lab.chaos.evidence import Logged, PoolRows, Topics
from schemas.events import (
    BASE_ADAPTER,
    Event,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
    Status,
)
from schemas.experiment import Arm, Experiment
from schemas.topic_names import MODEL_EVENTS, PREDICTIONS, REQUESTS, RETRAIN, REVIEWS

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
