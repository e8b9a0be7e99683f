"""Events that cannot be used: kept on `listune.dead-letters` with their source and the reason.

A worker acknowledges such an event only after its dead letter is confirmed. The key names the
source position, so that a letter written twice after a crash is seen to be the same.
"""

import base64
import hashlib
import logging
from concurrent.futures import Future

from schemas.errors import EventError
from schemas.events import DeadLetter
from schemas.topic_names import DEAD_LETTERS
from streams import metrics
from streams.kafka.publisher import Position, Publisher

log = logging.getLogger(__name__)

KEPT_BYTES = 64 * 1024
"""How much of the payload is kept."""


def to_dead_letter(
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    payload: bytes | None,
    error: EventError,
) -> DeadLetter:
    """The dead letter for the record at `(topic, partition, offset)`."""
    content = payload or b""
    return DeadLetter(
        topic=topic,
        partition=partition,
        offset=offset,
        key=None if key is None else key.decode("utf-8", "replace"),
        reason=error.reason,
        error=str(error),
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        payload_base64=base64.b64encode(content[:KEPT_BYTES]).decode("ascii"),
    )


def dead_letter_key(letter: DeadLetter) -> str:
    """The record key: `<topic>:<partition>:<offset>`."""
    return f"{letter.topic}:{letter.partition}:{letter.offset}"


def bury(publisher: Publisher, letter: DeadLetter) -> Future[Position]:
    """Sends a dead letter; acknowledge its source only when the future is done."""
    key = dead_letter_key(letter)
    log.warning("%s is a dead letter: %s", key, letter.error)
    metrics.DEAD_LETTERS.labels(letter.topic, letter.reason).inc()
    return publisher.send(DEAD_LETTERS, key, letter.to_bytes())
