"""Records decoded in a process of their own, beside the one that has the pool.

To decode an event, to validate it and to make the pool's row of it takes the interpreter a third of
the time that a review takes in all, and two threads of one interpreter do not run side by side. So
a worker has one such process: payloads go there by the parcel, rows come back.

    Decoder   the worker's side: starts the process, hands parcels to it in order
    Decoded   what comes back of a parcel: of each record its row, or why it has none

The process holds nothing that cannot be had again. It ends with the worker, however that ends; if
it ends itself, `decode` raises, and with it the worker does.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

from schemas.category import CategorySchemas
from schemas.errors import EventError
from schemas.events import decode
from schemas.versions import SchemaVersions
from streams import metrics
from streams.garbage import collect_seldom
from streams.pool.rows import Row, row_of
from streams.topic_names import KINDS

Raw = tuple[int, int, bytes | None]
"""A record's offset, its timestamp in ms, and its payload."""


@dataclass(frozen=True)
class Fault:
    """Why a record has no row: the reason and the sentence of an `EventError`."""

    reason: str
    message: str


@dataclass(frozen=True)
class Decoded:
    """A parcel's records, in their order.

    unknown: a review among them was made under a schema that is not known (yet).
    """

    rows: Sequence[Row | Fault]
    unknown: bool
    seconds: float


class Decoder:
    """Decodes parcels in a process of its own, one after the other."""

    def __init__(self, schemas: CategorySchemas, max_event_bytes: int) -> None:
        """Starts the process. `schemas`: those in force."""
        self._sent = schemas
        # Not forked: of a process with threads and a broker's client only a part would be there.
        self._process = ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), _begin, (schemas, max_event_bytes)
        )
        self._process.submit(os.getpid)

    def take(self, schemas: CategorySchemas) -> bool:
        """From now on `schemas` are in force; whether others were before."""
        if schemas is self._sent:
            return False
        self._sent = schemas
        self._process.submit(_replace, schemas)
        return True

    async def decode(self, topic: str, partition: int, raws: Sequence[Raw]) -> Decoded:
        """Rows of the records of one partition.

        Raises:
            BrokenProcessPool: the process is gone.
        """
        decoding: Future[Decoded] = self._process.submit(_decode, topic, partition, raws)
        decoded = await asyncio.wrap_future(decoding)
        metrics.STAGE_SECONDS.labels("validate").observe(decoded.seconds)
        return decoded

    def close(self) -> None:
        """Ends the process; what it has under way is dropped."""
        self._process.shutdown(wait=False, cancel_futures=True)


# ----------------------------------------------------------------------------- in the process


class _State:
    versions: SchemaVersions
    max_event_bytes: int


def _begin(schemas: CategorySchemas, max_event_bytes: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; the worker ends this process
    threading.Thread(target=_end_with_the_worker, daemon=True).start()
    collect_seldom()
    _State.versions = SchemaVersions(schemas)
    _State.max_event_bytes = max_event_bytes


def _end_with_the_worker() -> None:
    worker = multiprocessing.parent_process()
    assert worker is not None
    worker.join()
    os._exit(0)


def _replace(schemas: CategorySchemas) -> None:
    _State.versions.replace(schemas)


def _decode(topic: str, partition: int, raws: Sequence[Raw]) -> Decoded:
    began = time.perf_counter()
    rows: list[Row | Fault] = []
    unknown = False
    for offset, timestamp_ms, payload in raws:
        try:
            event = decode(KINDS[topic], payload, _State.max_event_bytes)
        except EventError as error:
            rows.append(Fault(error.reason, str(error)))
            continue
        row = row_of(event, _State.versions, partition, offset, timestamp_ms)
        unknown = unknown or row.get("shown", 0) is None
        rows.append(row)
    return Decoded(rows, unknown, time.perf_counter() - began)
