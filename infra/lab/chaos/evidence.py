"""What topics and pool hold once everything has stopped.

Read from the broker alone, which is started once more without the workers, and from the pool's
file, opened read-only: nobody writes any more, so both are of one moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import duckdb

from schemas.decoding import decode
from schemas.events import (
    Event,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    RetrainRequest,
)
from schemas.topic_names import (
    BACKFILL,
    DEAD_LETTERS,
    MODEL_EVENTS,
    PREDICTIONS,
    REQUESTS,
    RETRAIN,
    REVIEWS,
)
from streams.kafka.committed import Committed
from streams.kafka.log_reader import read_span
from streams.kafka.partitions import Partition
from streams.kafka.topics import log_bounds
from streams.pool.file import pool_path
from streams.predict import app as predict
from streams.replay.live_pool import held_to_read
from streams.settings import StreamsSettings

E = TypeVar("E", bound=Event)

KAFKA_S = 30.0


@dataclass(frozen=True)
class Logged(Generic[E]):
    """One event, where it lies, and when the broker took it (milliseconds since 1970)."""

    event: E
    place: Partition
    offset: int
    at_ms: int


@dataclass
class Topics:
    """Every event, those of a partition in log order.

    answered_to: of each partition of requests and orders the next offset that predict would read.
    """

    requests: list[Logged[ListingRequest]] = field(default_factory=list)
    orders: list[Logged[ListingRequest]] = field(default_factory=list)
    predictions: list[Logged[ListingPrediction]] = field(default_factory=list)
    reviews: list[Logged[ListingReview]] = field(default_factory=list)
    rounds: list[Logged[RetrainRequest]] = field(default_factory=list)
    model_events: list[Logged[ModelEvent]] = field(default_factory=list)
    dead_letters: int = 0
    answered_to: Mapping[Partition, int] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolRows:
    """What the pool holds: identities, and how many reviews it counts in acceptance.

    read_to: of each partition the next offset that it would read.
    predictions: request_id to prediction_id. samples: (request_id, prediction_id, review_id).
    """

    read_to: Mapping[Partition, int]
    requests: frozenset[str]
    predictions: Mapping[str, str]
    reviews: frozenset[str]
    samples: tuple[tuple[str, str, str], ...]
    counted: int


def read_topics(settings: StreamsSettings) -> Topics:
    """All events of the topics.

    Raises:
        TopicsError: no broker answers.
        EventError: an event that nobody of the load can have sent.
    """
    found = Topics()
    kinds: dict[str, tuple[type[Event], list[Any]]] = {
        REQUESTS: (ListingRequest, found.requests),
        BACKFILL: (ListingRequest, found.orders),
        PREDICTIONS: (ListingPrediction, found.predictions),
        REVIEWS: (ListingReview, found.reviews),
        RETRAIN: (RetrainRequest, found.rounds),
        MODEL_EVENTS: (ModelEvent, found.model_events),
    }
    for batch in read_span(settings, log_bounds(settings, kinds)):
        for topic, partition, offset, timestamp_ms, value in batch:
            kind, events = kinds[topic]
            event = decode(kind, value, settings.max_event_bytes)
            events.append(Logged(event, (topic, partition), offset, timestamp_ms))
    found.dead_letters = sum(
        end - start for start, end in log_bounds(settings, [DEAD_LETTERS]).values()
    )
    asked = log_bounds(settings, [REQUESTS, BACKFILL])
    found.answered_to = Committed(settings, predict.GROUP).offsets(asked, KAFKA_S)
    return found


def read_pool(settings: StreamsSettings) -> PoolRows:
    """What the pool holds; no worker may have it.

    Raises:
        PoolError: a worker has it.
    """
    path = pool_path(settings)
    with held_to_read(path) as con:
        if con is None:
            raise FileNotFoundError(path)
        return PoolRows(
            read_to={
                (topic, partition): offset
                for topic, partition, offset in _rows(con, "FROM store.watermarks")
            },
            requests=frozenset(r for (r,) in _rows(con, "SELECT request_id FROM store.requests")),
            predictions=dict(_rows(con, "SELECT request_id, prediction_id FROM store.predictions")),
            reviews=frozenset(r for (r,) in _rows(con, "SELECT review_id FROM store.reviews")),
            samples=tuple(
                _rows(con, "SELECT request_id, prediction_id, review_id FROM store.samples")
            ),
            counted=int(
                _rows(con, "SELECT coalesce(sum(reviews), 0) FROM main.acceptance_by_day")[0][0]
            ),
        )


def _rows(con: duckdb.DuckDBPyConnection, statement: str) -> list[tuple[Any, ...]]:
    return con.execute(statement).fetchall()
