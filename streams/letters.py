"""Dead letters read back from their topic, and sent again.

A letter that was sent again is marked by a second record under its own key, without the payload, so
that the topic alone says what has been done. The payload goes first: a crash between the two sends
it twice, which our readers take once, and never loses it.
"""

import base64
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import DeadLetter, listing_sha256, now_ms
from schemas.topic_names import DEAD_LETTERS
from streams.kafka.log_reader import read_span
from streams.kafka.publisher import PARTITION_BY_KEY, Publisher
from streams.kafka.topics import log_bounds
from streams.settings import StreamsSettings
from streams.worker.dead_letters import KEPT_BYTES, dead_letter_key

DELIVERY_S = 30.0


@dataclass(frozen=True)
class Letter:
    """One dead letter: what the worker wrote, and when a person sent it again, if one did."""

    key: str  # <topic>:<partition>:<offset> of its source
    found: DeadLetter
    resent_ms: int | None

    @property
    def payload(self) -> bytes:
        """What was kept of the payload."""
        return base64.b64decode(self.found.payload_base64)

    @property
    def whole(self) -> bool:
        """Whether all of the payload was kept."""
        return hashlib.sha256(self.payload).hexdigest() == self.found.sha256


def read_letters(settings: StreamsSettings) -> list[Letter]:
    """All letters that the topic still has, in the order in which they were written.

    A request that both workers could not read has one letter here: both have its key.

    Raises:
        TopicsError: no broker answers, or it does not give all that is there.
    """
    found: dict[str, DeadLetter] = {}
    resent: dict[str, int] = {}
    whole = log_bounds(settings, [DEAD_LETTERS])
    for record in chain.from_iterable(read_span(settings, whole)):
        try:
            # A letter is larger than its payload: base64 and the sentence come on top.
            letter = decode(DeadLetter, record.value, 4 * KEPT_BYTES + settings.max_event_bytes)
        except EventError:
            continue  # not written by us: there is nothing in it to send again
        key = dead_letter_key(letter)
        if letter.resent_ms is None:
            found.setdefault(key, letter)
        else:
            resent[key] = letter.resent_ms
    return [Letter(key, letter, resent.get(key)) for key, letter in found.items()]


def why_not(letter: Letter, forgotten: Collection[str], again: bool = False) -> str | None:
    """Why a letter is not sent again, as one sentence; None if it can be.

    Args:
        letter: the letter.
        forgotten: SHA-256 of the listings that are forgotten.
        again: a person knows that it was sent before.
    """
    key = letter.found.key
    if letter.resent_ms is not None and not again:
        return "it was sent again before; --again sends it once more"
    size = letter.found.size
    if not size:
        return "it has no payload"
    if not letter.whole:
        return f"only {len(letter.payload)} of its {size} bytes were kept; have its sender send it"
    if key is not None and "\ufffd" in key:
        return "its key is no text; have its sender send it"
    if key is not None and listing_sha256(key) in forgotten:
        return "its listing is forgotten"
    return None


def resend(publisher: Publisher, letter: Letter) -> None:
    """Sends the payload to its own topic and partition under its own key, and marks the letter.

    Raises:
        DeliveryError: the broker did not confirm one of the two.
    """
    source = letter.found
    # By number: a prediction lies in its request's partition, whatever its key says.
    sent = publisher.send(source.topic, source.key, letter.payload, source.partition)
    sent.result(DELIVERY_S)
    mark = source.model_copy(update={"resent_ms": now_ms(), "payload_base64": ""})
    publisher.send(DEAD_LETTERS, letter.key, mark.to_bytes(), PARTITION_BY_KEY).result(DELIVERY_S)
