"""A small marketplace to test the pool with: events as a log hands them over, and the control log.

`World` keeps the offsets and plays the shell: it publishes the outbox into a list and hands the
control events back to the pool, as Kafka would.
"""

import hashlib
from functools import cache
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import (
    ListingForgotten,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    ModelEventKind,
    RetrainRequest,
    Status,
    listing_sha256,
)
from schemas.heldout import is_held_out
from streams.pool import file, outbox
from streams.pool.deciding.conductor import Conductor
from streams.pool.store import Pool, Record
from streams.settings import StreamsSettings

LAMP = CategorySchema(
    category="Lamps",
    attributes=(
        Attribute(name="Colour", type=AttributeType.ENUM, values=("red", "blue")),
        Attribute(name="Height", type=AttributeType.NUMBER, units=("cm", "mm")),
        Attribute(name="Dimmable", type=AttributeType.BOOLEAN),
        Attribute(name="Style", type=AttributeType.TEXT),
    ),
)
SCHEMAS = CategorySchemas([LAMP])
SUBMITTED = {"Colour": ["red"], "Height": ["30 cm"], "Dimmable": ["yes"], "Style": ["loft"]}
START_MS = 1_700_000_000_000
DAY_MS = 86_400_000
SHARE = 0.0001  # so that no listing of a test is held out unless it was chosen for that
TOPIC_IDS = {"listing.requests": "r1", "model.events": "m1", "training.retrain": "t1"}
CONTROL: dict[Any, str] = {
    RetrainRequest: "training.retrain",
    ModelEvent: "model.events",
    ListingForgotten: "listune.forgotten",
}
CHANNEL: dict[Any, str] = {
    ListingRequest: "listing.requests",
    ListingPrediction: "listing.predictions",
    ListingReview: "listing.reviews",
}


def settings(folder: Path, **changes: Any) -> StreamsSettings:
    # All its lamps have nearly the same title.
    by_default = {
        "k": 4,
        "heldout_share": SHARE,
        "heldout_least": 1,
        "selection": "deficit",
        "max_share_per_group": 1.0,
    }
    return StreamsSettings(pool_dir=folder, **by_default | changes)


@cache
def held_out_id(number: int) -> str:
    """The id of a listing that is held out."""
    return next(i for n in count() if is_held_out(i := f"held-{number}-{n}", SHARE))


def request(listing: str, **changes: Any) -> ListingRequest:
    return ListingRequest(
        **{
            "request_id": f"q-{listing}",
            "listing_id": listing,
            "category": "Lamps",
            "category_schema_hash": LAMP.hash,
            "title": f"Lamp {listing}",
            "description": "It is a lamp.",
            **changes,
        }
    )


def prediction(asked: ListingRequest, filled: int = 0, **changes: Any) -> ListingPrediction:
    """An answer that fills the first `filled` attributes as the seller would."""
    return ListingPrediction(
        **{
            "prediction_id": f"p-{asked.request_id}",
            "request_id": asked.request_id,
            "listing_id": asked.listing_id,
            "seller_id": asked.seller_id,
            "tags": asked.tags,
            "category": asked.category,
            "category_schema_hash": asked.category_schema_hash,
            "input_hash": asked.input_hash(),
            "status": Status.OK,
            "purpose": asked.purpose,
            "requested": [a.name for a in LAMP.attributes],
            "values": dict(list(SUBMITTED.items())[:filled]),
            **changes,
        }
    )


def review(answer: ListingPrediction, **changes: Any) -> ListingReview:
    return ListingReview(
        **{
            "review_id": f"v-{answer.prediction_id}",
            "prediction_id": answer.prediction_id,
            "request_id": answer.request_id,
            "listing_id": answer.listing_id,
            "seller_id": answer.seller_id,
            "tags": answer.tags,
            "category": answer.category,
            "category_schema_hash": answer.category_schema_hash,
            "shown": answer.values,
            "submitted": SUBMITTED,
            **changes,
        }
    )


def whole_way(
    listing: str, filled: int = 0, **changes: Any
) -> tuple[ListingRequest, ListingPrediction, ListingReview]:
    """What becomes of a listing: asked, answered by the base (or as changed), reviewed."""
    asked = request(listing)
    answer = prediction(asked, filled, **changes)
    return asked, answer, review(answer)


@cache
def empty_pool() -> bytes:
    """The file of a pool with its tables and views: DuckDB takes 0.2 s to read all that they say,
    which is ten times what a test does with them."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.duckdb"
        with file.connect(path) as con:
            con.execute(file.read_definitions())
        return path.read_bytes()


class World:
    """A pool, its conductor, and the log around them.

    By its first tick `held_out` listings have been reviewed that can judge, at the very beginning;
    by default as many as a round needs.
    """

    def __init__(self, folder: Path, held_out: int = 1, **changes: Any) -> None:
        self.settings = settings(folder, **changes)
        self.offsets: dict[str, int] = {}
        self.control: list[ModelEvent | RetrainRequest | ListingForgotten] = []
        self.positions: dict[str, int] = {}
        self.orders: list[ListingRequest] = []
        self.fed: list[Record] = []
        self.now_ms = START_MS
        self.schemas = SCHEMAS
        self.held_out: list[str] = []
        self.to_hold_out = held_out
        self.open()

    def open(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            if not any(self.settings.pool_dir.glob("*.duckdb")):
                self.settings.pool_dir.mkdir(parents=True, exist_ok=True)
                file.pool_path(self.settings).write_bytes(empty_pool())
                patch.setattr(file, "read_definitions", str)
            self.pool = Pool(self.settings, self.schemas, "cluster", TOPIC_IDS)
        # Of so few rows DuckDB's second thread takes more than it helps.
        self.pool.con.execute("SET threads = 1")
        self.conductor = Conductor(self.pool)

    def reopen(self) -> None:
        """What a crash leaves: everything committed, nothing else."""
        self.pool.close()
        self.open()

    def record(self, event: Any, timestamp_ms: int | None = None) -> Record:
        topic = CHANNEL[type(event)]
        offset = self.offsets.get(topic, 0)
        self.offsets[topic] = offset + 1
        return self.pool.record(topic, 0, offset, timestamp_ms or self.now_ms, event)

    def feed(self, *events: Any) -> None:
        records = [self.record(event) for event in events]
        self.fed += records
        self.pool.apply(records)

    def sell(self, listing: str, filled: int = 0, **changes: Any) -> ListingPrediction:
        """A listing's whole way: asked, answered by the base (or as changed), reviewed."""
        way = whole_way(listing, filled, **changes)
        self.feed(*way)
        return way[1]

    def sell_many(self, count: int, prefix: str = "l", **changes: Any) -> None:
        """The whole ways of `count` listings in one micro-batch."""
        ways = [whole_way(f"{prefix}{n}", filled=n % 3, **changes) for n in range(count)]
        self.feed(*chain.from_iterable(ways))

    def hold_out(self, count: int) -> list[str]:
        """So many more listings to judge by have been reviewed; their ids."""
        known = len(self.held_out)
        new = [held_out_id(number) for number in range(known, known + count)]
        self.feed(*chain.from_iterable(whole_way(listing, filled=3) for listing in new))
        self.held_out += new
        return new

    def hear(self, *events: ModelEvent | RetrainRequest | ListingForgotten) -> None:
        """The control log delivers `events`."""
        for event in events:
            topic = CONTROL[type(event)]
            self.control.append(event)
            self.positions[topic] = self.positions.get(topic, 0) + 1
        self.pool.apply_control(events, dict(self.positions))

    def tick(self, **changes: Any) -> list[Any]:
        """One tick without publishing; returns what waits in the outbox."""
        now, self.now_ms = self.now_ms, START_MS
        self.hold_out(self.to_hold_out)
        self.now_ms, self.to_hold_out = now, 0
        self.conductor.tick(**{"now_ms": self.now_ms, "lag": 0, "caught_up": True, **changes})
        kinds: dict[str, Any] = {topic: kind for kind, topic in CONTROL.items()}
        return [
            kinds.get(row.topic, ListingRequest).model_validate_json(row.payload)
            for row in outbox.pending(self.pool.con, 1000)
        ]

    def step(self) -> list[Any]:
        """A tick, the outbox published, and control events observed."""
        events = self.tick()
        rows = outbox.pending(self.pool.con, 1000)
        self.hear(*[event for event in events if type(event) in CONTROL])
        self.orders += [e for e in events if isinstance(e, ListingRequest)]
        outbox.done(self.pool.con, [row.id for row in rows])
        return events

    def say(self, kind: ModelEventKind, **changes: Any) -> ModelEvent:
        """The trainer, or a person, says something; it is heard at once."""
        event = ModelEvent(
            **{"kind": kind, "pool": "default", "round": 0, "created_ms": self.now_ms, **changes}
        )
        self.hear(event)
        return event

    def forget(self, listing: str) -> None:
        """A person asks for a listing to be forgotten."""
        asked = {"listing_sha256": listing_sha256(listing), "created_ms": self.now_ms}
        self.hear(ListingForgotten(**asked))

    def train(
        self, outcome: ModelEventKind, round_: int = 1, attempt: int = 1, look: int = 1
    ) -> str:
        """A trainer's whole round up to `outcome`; returns the adapter's hash."""
        name = f"default-r{round_}-a{attempt}"
        adapter = {
            "adapter_id": name,
            "adapter_hash": hashlib.sha256(name.encode()).hexdigest(),
            "adapter_uri": f"registry/{name}.safetensors",
            "parent_id": self.conductor.champion().id,
            "parent_hash": self.conductor.champion().hash,
        }
        where = {"round": round_, "attempt": attempt, "look": look}
        self.say(ModelEventKind.STARTED, **where)
        if outcome is ModelEventKind.PROPOSED:
            self.say(ModelEventKind.PUBLISHED, **where, **adapter)
        if outcome is ModelEventKind.FAILED:
            adapter = {}
        self.say(outcome, **where, **adapter)
        return hashlib.sha256(name.encode()).hexdigest()

    def rows(self, sql: str) -> list[Any]:
        return self.pool.con.execute(sql).fetchall()

    def answer_orders(self, adapter_hash: str, filled: int = 0) -> None:
        for order in self.orders:
            changes = {"adapter_hash": adapter_hash, "adapter_id": adapter_hash[:8]}
            self.feed(prediction(order, filled, **changes))
        self.orders = []


def promoted(world: World) -> str:
    """A first round is promoted; its adapter's hash."""
    world.sell_many(4, "first")
    world.step()
    adapter = world.train(ModelEventKind.PROPOSED)
    world.step()
    return adapter


def begun(world: World) -> RetrainRequest:
    """The round that a step begins, and nothing else."""
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    return event


def kinds(events: list[Any]) -> list[Any]:
    """What each of `events` is, of model events their kinds."""
    return [e.kind if isinstance(e, ModelEvent) else type(e) for e in events]


def state(world: World, round_: int = 1) -> str:
    """The state of a round."""
    return str(world.rows(f"SELECT state FROM store.rounds WHERE round = {round_}")[0][0])
