"""Sellers without end, each of whom lists one product and reviews the answer.

Each accepts a suggestion with a chance that belongs to the adapter that gave it, and else chooses
another value. So how good an adapter is, is made up; all else is real.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from string import ascii_lowercase
from types import TracebackType
from typing import Self

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ListingPrediction, Mode, Status
from streams.errors import DeliveryError, PredictionTimeout
from streams.producer import ListuneClient
from streams.settings import StreamsSettings

VALUES = tuple(first + second for first in ascii_lowercase for second in "aeiou")
SCHEMAS = CategorySchemas(
    [
        CategorySchema(
            category="Lamps",
            attributes=tuple(
                Attribute(name=name, type=AttributeType.ENUM, values=VALUES)
                for name in ("Shade", "Base", "Cable", "Switch")
            ),
        )
    ]
)
"""All values are legal, and short."""
MOST_WAITING = 16
PATIENCE_S = 60.0
FLUSH_S = 30.0


@dataclass(frozen=True)
class Heard:
    """One answer as its seller saw it.

    asked_s: when it was asked for, in seconds since 1970. waited_s: until it was there.
    latency_ms: as the prediction has it, which is predict's part of that.
    """

    asked_s: float
    waited_s: float
    latency_ms: float


class Market:
    """`rate` sellers a second while the block lasts, but `MOST_WAITING` at a time."""

    def __init__(
        self,
        settings: StreamsSettings,
        acceptance: Callable[[str], float],
        rate: float,
        seed: int,
        even: bool = True,
    ) -> None:
        """Who comes and what they do.

        Args:
            acceptance: of suggestions by the adapter of this hash.
            even: whether they come in even steps, or at random (a Poisson process).
        """
        self.outcomes: Counter[str] = Counter()
        self.heard: list[Heard] = []
        """Each answer with values, in the order in which they came."""
        self._client = ListuneClient(settings, SCHEMAS)
        self._acceptance = acceptance
        self._lock = threading.Lock()
        self._random = random.Random(seed)
        self._came, self._due = 0, time.monotonic()
        self._pause = (lambda: 1 / rate) if even else (lambda: self._random.expovariate(rate))
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._serve, name=f"seller-{n}", daemon=True)
            for n in range(MOST_WAITING)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        try:
            if kind is None:
                self._client.flush(FLUSH_S)
        finally:
            self._client.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                self._came += 1
                self._due = due = max(self._due + self._pause(), time.monotonic())
                name, dice = f"seller-{self._came}", random.Random(self._random.random())
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return
            outcome = self._one(name, dice)
            with self._lock:
                self.outcomes[outcome] += 1

    def _one(self, name: str, dice: random.Random) -> str:
        # Titles that nothing is nearly the same as, so that no listing is passed over for it.
        title = " ".join(f"{dice.getrandbits(32):08x}" for _ in range(4))
        asked_s, began = time.time(), time.monotonic()
        try:
            prediction = self._client.predict(
                listing_id=f"lamp-of-{name}",
                seller_id=name,
                category="Lamps",
                title=title,
                mode=Mode.CONSTRAINED,
                timeout_s=PATIENCE_S,
            )
        except PredictionTimeout:
            return "no answer"
        except DeliveryError:
            return "not sent"
        if prediction.status is Status.OK:
            heard = Heard(asked_s, time.monotonic() - began, prediction.latency_ms)
            with self._lock:
                self.heard.append(heard)
            submitted = self._decide(prediction, dice)
            self._client.review(prediction, shown=prediction.values, submitted=submitted)
        return str(prediction.status)

    def _decide(self, prediction: ListingPrediction, dice: random.Random) -> dict[str, list[str]]:
        accepts = self._acceptance(prediction.adapter_hash)
        submitted = {}
        for name in prediction.requested:
            shown = prediction.values.get(name, [])
            others = [value for value in VALUES if value not in shown]
            taken = shown and dice.random() < accepts
            submitted[name] = shown if taken else [dice.choice(others)]
        return submitted
