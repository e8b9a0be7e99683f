"""The events on the wire: one strict pydantic model each, JSON on Kafka.

    listing.requests / listing.backfill   ListingRequest      key listing_key
    listing.predictions                   ListingPrediction   key listing_key
    listing.reviews                       ListingReview       key listing_key
    training.retrain                      RetrainRequest      key pool
    model.events                          ModelEvent          key: see `ModelEvent.key`
    listune.dead-letters                  DeadLetter          key `<topic>:<partition>:<offset>`
    listune.forgotten                     ListingForgotten    key: see `ListingForgotten.key`

Strict: the string "5" is not the number 5. Unknown fields are tolerated, so that a producer may be
newer than a consumer; what other languages write for the same event is read too (`foreign`). Times
are milliseconds since 1970 in UTC. Identities are made by the sender and never reused; `new_id`
makes one.
"""

import hashlib
import json
import secrets
import time
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)

from schemas.curation import Selection
from schemas.experiment import Experiment
from schemas.identity import listing_key, without_separator

SCHEMA_VERSION: Literal[1] = 1
LATEST_MS = 253_402_300_799_999
"""The end of the year 9999: a JSON number may have any length, and floats and clocks may not."""
BASE_ADAPTER = "base"
"""Adapter id and adapter hash of the base model without any adapter."""

ValueLists = dict[str, list[str]]

Identity = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(without_separator)]
"""What the caller calls a listing or a seller."""

Tags = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=100)],
        Annotated[str, Field(max_length=200)],
    ],
    Field(max_length=20),
]
"""What else the caller wants to find a listing by: locale, source, …"""

Trigger = Literal["count", "schedule", "acceptance", "person", "drift"]
"""Why a round began: enough listings, the time, a drop of live acceptance, a person's wish, or a
drift alarm."""
Source = Literal["stream", "history"]
"""Where the listings of a round come from: reviews that the pool read, or a catalog of before."""
HISTORY_POOL = "history"
"""The pool that rounds on historic listings name; no Kafka has it."""
BLIND_ADAPTER = "blind"
"""Adapter id and adapter hash of answers that suggest nothing."""


_AS_JSON = json.JSONEncoder(ensure_ascii=False)


def new_id() -> str:
    """A fresh identity: 32 hexadecimal digits."""
    return secrets.token_hex(16)


def listing_sha256(listing_key: str) -> str:
    """What stands for a listing where its own id must not be kept: 64 hexadecimal digits."""
    return hashlib.sha256(listing_key.encode("utf-8", "surrogatepass")).hexdigest()


def now_ms() -> int:
    """Milliseconds since 1970 in UTC."""
    return time.time_ns() // 1_000_000


class Event(BaseModel):
    """What all events share."""

    # NaN and infinity are no JSON: they would be written as null, which no reader takes back.
    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )

    schema_version: Literal[1] = SCHEMA_VERSION
    created_ms: int = Field(default_factory=now_ms, ge=0, le=LATEST_MS)

    def to_bytes(self) -> bytes:
        """The event as it stands on a topic."""
        return self.model_dump_json().encode()


class Purpose(StrEnum):
    """Why a prediction is asked for: for a seller who waits, to measure a gap again, or to see what
    an adapter on trial would answer."""

    LIVE = "live"
    BACKFILL = "backfill"
    SHADOW = "shadow"


class Mode(StrEnum):
    """How values are generated: freely and then validated, or within the schema."""

    FREE = "free"
    CONSTRAINED = "constrained"


class Status(StrEnum):
    """The kinds of answer to a request; only `ok` can make a gap."""

    OK = "ok"
    FAILED = "failed"  # the request cannot be answered; `error` says why
    EXPIRED = "expired"  # nobody waits any more
    SUPERSEDED = "superseded"  # an order whose adapter is no longer champion, or on trial


class ListingEvent(Event):
    """What is said about one listing. `listing_id` is the caller's: unique in the marketplace, or
    among a seller's listings where `seller_id` is given."""

    listing_id: Identity
    seller_id: Identity | None = None
    tags: Tags = {}

    @property
    def listing_key(self) -> str:
        """What identifies the listing: see `schemas.identity`."""
        return listing_key(self.listing_id, self.seller_id)

    @property
    def unit(self) -> str:
        """What is in an arm of an experiment: the seller, or the listing without one."""
        return self.seller_id or self.listing_id


class ListingRequest(ListingEvent):
    """A listing service asks for the attribute values of one listing."""

    request_id: str = Field(min_length=1, max_length=200)
    category: str = Field(min_length=1)
    category_schema_hash: str = ""  # empty: the one in force when it is read
    title: str = ""
    description: str = ""
    images: list[str] = []
    requested: list[str] | None = None  # attribute names; None asks for all of the category
    mode: Mode | None = None  # None takes the worker's setting
    # So long after the record's time in Kafka the answer is `expired`; None: never.
    patience_ms: int | None = Field(default=None, ge=1, le=LATEST_MS)
    # What older producers send in its place, by their own clock; see `expires_ms`.
    deadline_ms: int | None = Field(default=None, le=LATEST_MS)
    purpose: Purpose = Purpose.LIVE
    # Of orders only: the champion that is to be measured, or the adapter on trial.
    adapter_hash: str | None = None
    live_input_hash: str | None = None  # of orders only: of the live request that they repeat
    # Of orders only: SHA-256 of the pictures that the live answer saw, to be looked at again.
    pictures: list[str] = []

    def expires_ms(self, written_ms: int) -> int | None:
        """When nobody waits any more, by the clock that `written_ms` is of; None: never.

        A wrong clock of the sender does not count: of an older producer's deadline only the time
        between `created_ms` and it is taken, which are of the same clock.

        Args:
            written_ms: the time of the request's record in Kafka.
        """
        if self.patience_ms is not None:
            return written_ms + self.patience_ms
        if self.deadline_ms is None or "created_ms" not in self.model_fields_set:
            return self.deadline_ms
        return written_ms + self.deadline_ms - self.created_ms

    def input_hash(self) -> str:
        """SHA-256 of what this listing says: equal hash, equal prompt, but for what its URIs gave.

        A picture may change under its URI. What was seen is in the prediction's `pictures`.
        An order (to measure again, or a shadow's) has that of its live request, by which its answer
        finds the listing's text, though the category's schema may have changed in between.
        """
        if self.purpose is not Purpose.LIVE and self.live_input_hash is not None:
            return self.live_input_hash
        seen = [self.category, self.category_schema_hash, self.title, self.description]
        content = _AS_JSON.encode([*seen, self.images, self.requested])
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


class ListingPrediction(ListingEvent):
    """The answer to a request. The first one in the log for a `request_id` is canonical.

    Seller and tags are the request's.
    """

    prediction_id: str
    request_id: str
    category: str
    category_schema_hash: str
    input_hash: str
    status: Status
    error: str | None = None
    purpose: Purpose = Purpose.LIVE
    requested: list[str] = []  # the attributes A that were asked for, in order
    values: ValueLists = {}  # legal values only: what a seller is shown
    invalid: dict[str, str] = {}  # attribute to a text that is no legal value
    cut: list[
        str
    ] = []  # those of `invalid` whose answer was cut off, which no schema can make legal
    missing_required: list[str] = []  # those of `requested` that a listing needs and have no value
    confidence: dict[str, float] = {}  # attribute to the probability of its answer, 0 to 1
    mode: Mode = Mode.FREE
    batches: int = Field(default=0, ge=0)  # B, the number of branches generated
    adapter_id: str = BASE_ADAPTER
    adapter_hash: str = BASE_ADAPTER
    latency_ms: float = Field(default=0.0, ge=0)  # from taking the request up to having the answer
    # Experiment to the arm that the seller is in, whatever answered in the end; of live answers.
    arms: dict[str, str] = {}
    fell_back: str | None = None  # why the champion answered in place of the arm's own
    tokens_read: int = Field(default=0, ge=0)
    tokens_written: int = Field(default=0, ge=0)
    # SHA-256 of what was seen of the listing's pictures, in its order, whoever answered. The engine
    # was given them all; what it, or an endpoint, did not look at is in `notes`.
    pictures: list[str] = []
    notes: list[str] = []  # what could not be looked at, a sentence each


class ListingReview(ListingEvent):
    """What the seller submitted and had been shown. The last review of a listing wins.

    Listing and seller are the prediction's: with another `seller_id`, or without it, it would be
    the review of another listing.
    """

    review_id: str = Field(min_length=1)
    prediction_id: str
    request_id: str
    category: str
    category_schema_hash: str = ""  # as in `ListingRequest`
    shown: ValueLists = {}  # the suggestions that the seller saw
    submitted: ValueLists = {}  # the final listing; a missing attribute was left blank


ERASED_FROM = "listune.erased_from"
"""Key in a Parquet file's metadata: the SHA-256 that the file had before forgotten listings were
taken out of it, by which its manifest knows it."""


class ManifestFile(BaseModel):
    """One Parquet file of a round's data set; `sha256` and `rows` are as it was written.

    A file that a forgotten listing was taken out of has fewer rows, and names `sha256` in its
    metadata under `ERASED_FROM`.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    # Manifests from before listings were held out by their hash say `validation`.
    role: Annotated[
        Literal["train", "heldout"],
        BeforeValidator(lambda role: "heldout" if role == "validation" else role),
    ]
    path: str
    sha256: str
    rows: int = Field(ge=0)


class RetrainRequest(Event):
    """The commit point of a round, identified by `(pool, round)`: train on these files.

    Look 1 trains and judges. A further look judges the round's challenger again, on the held-out
    listings that are there by then: its files are those alone.
    """

    pool: str
    round: int = Field(ge=1)
    attempt: int = Field(default=1, ge=1)
    look: int = Field(default=1, ge=1)
    # Whose round it is: Kafka's cluster id, and there the id of the topic `training.retrain`, which
    # no other prefix has, nor the topic if it is made again. None in older events.
    cluster_id: str | None = None
    topic_id: str | None = None
    parent_id: str
    parent_hash: str
    parent_uri: str | None = None  # the parent's adapter file; None for the base
    trigger: Trigger = "count"  # what older events, without it, were about
    source: Source = "stream"
    selection: Selection
    k: int = Field(ge=1)
    min_gap: float
    pool_size: int = Field(default=0, ge=0)  # samples in the pool at selection
    mean_deficit: float = 0.0  # of the listings selected
    # How many of their values come from where (`schemas.origins`); empty in events from before.
    origins: dict[str, int] = {}
    # Not taken: nearly the same as a held-out listing, of those looked at; and of all that counted,
    # beyond the share of one seller, one category or one product.
    near_held_out: int = Field(default=0, ge=0)
    over_share: int = Field(default=0, ge=0)
    # Of the held-out listings, those whose labels no model has touched.
    blind_held_out: int = Field(default=0, ge=0)
    files: list[ManifestFile]


class ModelEventKind(StrEnum):
    """What can happen to a round or an adapter, and who says so."""

    STARTED = "started"  # trainer: took the round
    HEARTBEAT = "heartbeat"  # trainer: still at work, renews its lease
    PUBLISHED = "published"  # trainer: pushed, canary answered
    PROPOSED = "proposed"  # trainer: passed the gate, asks for promotion
    PROMOTED = "promoted"  # conductor: the champion alias now names this adapter
    REJECTED = "rejected"  # trainer: judged worse
    CHALLENGER = "challenger"  # trainer: not decided yet; judged again as held-out listings come
    FAILED = "failed"  # trainer or conductor (lease expired); `reason` says why
    SUPERSEDED = "superseded"  # conductor: the parent is no longer champion, or the round is closed
    ROLLED_BACK = "rolled_back"  # conductor: the alias moved back to an earlier adapter
    ROLLBACK_REQUESTED = "rollback_requested"  # a person: asks the conductor for it
    PROMOTION_REQUESTED = "promotion_requested"  # a person: asks the conductor for it
    RETRAIN_REQUESTED = "retrain_requested"  # a person: asks for a round now
    EXPERIMENT_STARTED = "experiment_started"  # conductor: it runs as told, also with larger shares
    EXPERIMENT_ENDED = "experiment_ended"  # conductor: of a canary, back to the parent

    @classmethod
    def _missing_(cls, value: object) -> "ModelEventKind | None":
        """What a log from before challengers calls an undecided round."""
        return cls.CHALLENGER if value == "inconclusive" else None


TERMINAL_KINDS = frozenset(
    {
        ModelEventKind.PROMOTED,
        ModelEventKind.REJECTED,
        ModelEventKind.CHALLENGER,
        ModelEventKind.FAILED,
        ModelEventKind.SUPERSEDED,
    }
)
"""The kinds that end a look at a round. A challenger's round may be looked at again."""


class Interval(BaseModel):
    """A share, or a net benefit, with its two-sided 95 % bootstrap interval."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    value: float
    low: float
    high: float


class RoundMetrics(BaseModel):
    """What `trainer.judging.evaluate` measured of one adapter on the held-out listings."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    net_benefit: Interval | None = None  # None in events from before it was measured
    correct_completeness: Interval | None = None
    completeness: Interval
    recall: Interval
    precision: Interval
    listings: int
    p50_ms: float
    p90_ms: float
    # By what was seen: text, image, text+image, nothing. None in older events, and for one kind.
    by_inputs: dict[str, "RoundMetrics"] | None = None


class ModelEvent(Event):
    """Something happened to a round or an adapter. Keyed so that compaction keeps the latest."""

    event_id: str = Field(default_factory=new_id)
    kind: ModelEventKind
    pool: str
    round: int = Field(ge=0)  # 0 for events that belong to no round
    attempt: int = 1
    look: int = 1
    adapter_id: str | None = None
    adapter_hash: str | None = None
    adapter_uri: str | None = None  # where the adapter's safetensors file is kept (the registry)
    parent_id: str | None = None
    parent_hash: str | None = None
    worker: str | None = None  # who says it
    reason: str | None = None  # one sentence
    metrics: RoundMetrics | None = None
    parent_metrics: RoundMetrics | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None
    details: dict[str, float | int | str | bool | None] = {}
    experiment: Experiment | None = None  # of what started or ended

    def key(self) -> str:
        """The record key: the latest of a key survives compaction."""
        if self.experiment is not None:
            return f"experiment:{self.pool}:{self.experiment.name}"
        if self.kind in (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK):
            return "alias:champion"
        if self.kind is ModelEventKind.PUBLISHED:
            return f"adapter:{self.adapter_id}"
        return f"round:{self.pool}:{self.round}"


class DeadLetter(Event):
    """An event that could not be used, with its source and the reason."""

    topic: str
    partition: int
    offset: int
    key: str | None
    reason: str  # a short word: not_json, too_deep, too_large, invalid, ...
    error: str  # one sentence
    sha256: str  # of the whole payload
    size: int
    payload_base64: str  # its first 64 kB; empty in a record that only marks a letter as resent
    resent_ms: int | None = None  # when a person sent the payload again


class ListingForgotten(Event):
    """A person asks for a listing to be forgotten, or a pool's conductor says that it did.

    Kept for ever, and so without the listing's id. `created_ms` is when the person asked.
    """

    listing_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    pool: str | None = None  # whose conductor says it; None: a person asks
    rounds: list[int] | None = None  # of that pool, those that took the listing

    def key(self) -> str:
        """The record key: what was asked, and each pool's answer, survive compaction."""
        return self.listing_sha256 if self.pool is None else f"{self.listing_sha256}:{self.pool}"
