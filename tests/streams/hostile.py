"""Hostile events from a seed: what no producer should send, and what well-meaning ones send twice.

Every kind of fault is drawn about as often; in between lie valid events, so that a worker that
stopped reading, or that passed over too much, is noticed.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.category import CategorySchemas
from schemas.events import ListingPrediction, ListingRequest, ListingReview, Status
from schemas.topic_names import BACKFILL, PREDICTIONS, REQUESTS, REVIEWS

ODD_TEXTS = ("", " ", "\0", "\ud800", "\udfff\ud800", "\u202e\U0001f9a6", "'; DROP TABLE x; --")
ODD_TEXTS += ('"', "\\", "\n\r\t", "null", "{}", "x" * 300, "é" * 9_000, "x" * 70_000)
ODD_NUMBERS = (0, -1, 1.5, 2**31, 2**63, 2**64, -(2**70), 10**400, 1e308)
ODD_VALUES: tuple[Any, ...] = (None, True, [], {}, [[]], [None], {"a": {"b": 1}}, {"": []})
# Python writes these as `Infinity` and `NaN`, as careless producers do.
NO_NUMBERS = (float("inf"), float("nan"))
KEYS = (None, b"", b"\xff\xfe", b"k" * 1000, b"4711", "ü".encode())


@dataclass(frozen=True)
class Sent:
    """A record as it is produced."""

    topic: str
    key: bytes | None
    value: bytes | None


class Hostile:
    """The source: `events(count)` gives the same records for the same seed."""

    def __init__(self, schemas: CategorySchemas, seed: int) -> None:
        self._schemas = schemas
        self._random = random.Random(seed)
        self._sent: list[Sent] = []
        self._faults: tuple[Callable[[Sent], Sent], ...] = (
            self._as_it_is,
            self._again,
            self._again_elsewhere,
            self._random_bytes,
            self._cut,
            self._flipped,
            self._deep,
            self._odd_field,
            self._odd_field,
            self._odd_field,
            self._missing_field,
            self._null_field,
            self._framed,
            self._twice_the_same_name,
            self._another_version,
            self._another_kind,
            self._not_an_object,
            self._empty,
        )

    def events(self, count: int) -> list[Sent]:
        """`count` records, the events of a listing in any order."""
        listings = [self._listing(number) for number in range(count // 3 + 1)]
        plain = [event for listing in listings for event in listing][:count]
        self._random.shuffle(plain)
        for event in plain:
            self._sent.append(self._random.choice(self._faults)(event))
        return self._sent

    def _listing(self, number: int) -> list[Sent]:
        """A request, a review, and an answer of another producer's or an order to measure again."""
        shared: dict[str, Any] = {
            "listing_id": f"listing-{number}",
            "category": "Lamps",
            "category_schema_hash": self._schemas["Lamps"].hash,
            "request_id": f"request-{number}",
            "created_ms": 1_700_000_000_000 + number,
        }
        request = ListingRequest(**shared, title=f"Lamp {number}")
        answer = ListingPrediction(
            **shared,
            prediction_id=f"prediction-{number}",
            input_hash=request.input_hash(),
            status=Status.OK,
            requested=["colour", "size"],
        )
        review = ListingReview(
            **shared,
            review_id=f"review-{number}",
            prediction_id=answer.prediction_id,
            submitted={"colour": ["red"], "size": ["5 cm"]},
        )
        order = request.model_copy(update={"request_id": f"order-{number}", "adapter_hash": "gone"})
        key = request.listing_id.encode()
        other = Sent(PREDICTIONS, key, answer.to_bytes())
        if number % 4 == 0:
            other = Sent(BACKFILL, key, order.to_bytes())
        return [
            Sent(REQUESTS, key, request.to_bytes()),
            other,
            Sent(REVIEWS, key, review.to_bytes()),
        ]

    # ---------------------------------------------------------------------------------- the faults

    def _as_it_is(self, event: Sent) -> Sent:
        return event

    def _again(self, event: Sent) -> Sent:
        return self._random.choice(self._sent or [event])

    def _again_elsewhere(self, event: Sent) -> Sent:
        earlier = self._random.choice(self._sent or [event])
        return Sent(earlier.topic, self._random.choice(KEYS), earlier.value)

    def _random_bytes(self, event: Sent) -> Sent:
        return Sent(event.topic, event.key, self._random.randbytes(self._random.randint(1, 2000)))

    def _cut(self, event: Sent) -> Sent:
        assert event.value is not None
        return Sent(event.topic, event.key, event.value[: self._random.randrange(len(event.value))])

    def _flipped(self, event: Sent) -> Sent:
        value = bytearray(event.value or b"")
        value[self._random.randrange(len(value))] ^= 1 << self._random.randrange(8)
        return Sent(event.topic, event.key, bytes(value))

    def _deep(self, event: Sent) -> Sent:
        depth = self._random.choice((31, 32, 33, 1000, 20_000))
        opening, closing = self._random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        nested = opening * depth + b"1" + closing * depth
        if self._random.random() < 0.5:  # beside what a valid event has
            nested = (event.value or b"{}")[:-1] + b',"more":' + nested + b"}"
        return Sent(event.topic, event.key, nested)

    def _odd_field(self, event: Sent) -> Sent:
        fields = json.loads(event.value or b"{}")
        name = self._random.choice(list(fields))
        kind: tuple[Any, ...] = self._random.choice(
            (ODD_TEXTS, ODD_NUMBERS, ODD_VALUES, NO_NUMBERS)
        )
        odd = self._random.choice(kind)
        if isinstance(fields[name], dict) and self._random.random() < 0.5:
            odd = {str(odd): [str(odd)]}
        return self._with(event, fields | {name: odd})

    def _missing_field(self, event: Sent) -> Sent:
        fields = json.loads(event.value or b"{}")
        del fields[self._random.choice(list(fields))]
        return self._with(event, fields)

    def _null_field(self, event: Sent) -> Sent:
        fields = json.loads(event.value or b"{}")
        return self._with(event, fields | {self._random.choice(list(fields)): None})

    def _framed(self, event: Sent) -> Sent:
        """As a Schema Registry's serialiser writes it: JSON, which is read, or another format."""
        frame = b"\0" + self._random.randbytes(4)
        content = self._random.choice((event.value or b"", b"", b"\x02r", b"{\x02r"))
        return Sent(event.topic, event.key, frame + content)

    def _twice_the_same_name(self, event: Sent) -> Sent:
        return Sent(event.topic, event.key, (event.value or b"{}")[:-1] + b',"listing_id":"other"}')

    def _another_version(self, event: Sent) -> Sent:
        fields = json.loads(event.value or b"{}")
        version = self._random.choice((0, 2, "1", 1.0, None, True))
        return self._with(event, fields | {"schema_version": version})

    def _another_kind(self, event: Sent) -> Sent:
        return Sent(self._random.choice((REQUESTS, PREDICTIONS, REVIEWS)), event.key, event.value)

    def _not_an_object(self, event: Sent) -> Sent:
        value = self._random.choice((b"null", b"[]", b"1", b'"text"', b"{}", b"\xef\xbb\xbf{}"))
        return Sent(event.topic, event.key, value)

    def _empty(self, event: Sent) -> Sent:
        return Sent(event.topic, event.key, self._random.choice((None, b"")))

    def _with(self, event: Sent, fields: dict[str, Any]) -> Sent:
        """Lone surrogates stay as escapes, or become the bytes that no UTF-8 has."""
        escaped = self._random.random() < 0.5
        text = json.dumps(fields, ensure_ascii=escaped)
        return Sent(event.topic, event.key, text.encode("utf-8", "surrogatepass"))
