"""Reviews at a steady rate: how long each takes into the pool, and the k-th to the retrain event.

A stand-in for the trainer reads `training.retrain` and ends each round at once as rejected, through
the topics, so that the next one can begin. Requests and predictions are in the pool before, as they
are when a seller reviews.
"""

import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from infra.lab.bench.stream.curate import Look, Progress
from infra.lab.bench.stream.events import ListingEvents
from infra.settings import Settings
from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from schemas.topic_names import MODEL_EVENTS, RETRAIN, REVIEWS
from streams.kafka.clients import in_kafka, reader
from streams.kafka.publisher import Position, Publisher


@dataclass(frozen=True)
class Sent:
    """A review that was sent, when, and where it lies."""

    at_s: float
    position: Position


@dataclass
class StandIn:
    """Ends rounds; `heard` has the moment at which each retrain event came."""

    settings: Settings
    heard: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="stand-in", daemon=True)
        self._thread.start()

    def wait_for(self, rounds: int) -> None:
        """Waits until so many retrain events came, but 30 s at most; the row says how many did."""
        until = time.monotonic() + 30
        while len(self.heard) < rounds and time.monotonic() < until:
            time.sleep(0.05)

    def end(self) -> None:
        """Stops listening."""
        self._ended.set()
        self._thread.join()

    def _listen(self) -> None:
        streams = self.settings.streams
        publisher = Publisher(streams, client_id="listune.bench")
        consumer = reader(streams, "bench.stand-in")
        consumer.assign(in_kafka(streams, {(RETRAIN, 0): 0}))
        while not self._ended.is_set():
            message = consumer.poll(0.1)
            payload = message.value() if message is not None else None
            if payload is None:
                continue
            self.heard.append(time.time())
            asked = RetrainRequest.model_validate_json(payload)
            over = ModelEvent(
                kind=ModelEventKind.REJECTED,
                pool=asked.pool,
                round=asked.round,
                attempt=asked.attempt,
                worker="bench",
            )
            publisher.send(MODEL_EVENTS, over.key(), over.to_bytes())
        consumer.close()
        publisher.close()


def send_steadily(
    settings: Settings, events: Sequence[ListingEvents], per_s: float, progress: Progress
) -> list[Sent]:
    """Sends the reviews of `events`, evenly spaced, and waits until all are in the pool."""
    publisher = Publisher(settings.streams, client_id="listune.bench")
    began = time.time()
    sent = []
    for number, event in enumerate(events):
        time.sleep(max(0.0, began + number / per_s - time.time()))
        at_s = time.time()
        sent.append((at_s, publisher.send(REVIEWS, event.listing_id, event.review)))
    found = [Sent(at_s, future.result(60)) for at_s, future in sent]
    publisher.close()
    progress.wait_for(len(events))
    return found


def into_pool_s(sent: Sequence[Sent], seen: Sequence[Look]) -> list[float]:
    """Seconds from each review's sending to the first look that found it in the pool."""
    places = {(one.position.topic, one.position.partition) for one in sent}
    offsets = {place: [look.offsets.get(place, 0) for look in seen] for place in places}
    waited = []
    for one in sent:
        of_place = offsets[one.position.topic, one.position.partition]
        waited.append(seen[bisect_right(of_place, one.position.offset)].at_s - one.at_s)
    return waited


def to_retrain_s(sent: Sequence[Sent], heard: Sequence[float], need: int) -> list[float]:
    """Seconds from the review that made a round's listings enough to its retrain event.

    sent: without the held-out listings. need: k. Each review makes one fresh sample, and each round
    takes `need` of them.
    """
    return [
        at_s - sent[(number + 1) * need - 1].at_s
        for number, at_s in enumerate(heard)
        if (number + 1) * need <= len(sent)
    ]
