"""Records decoded in a process of their own, beside the one that has the pool.

To decode an event, to validate it and to make the pool's row of it takes the interpreter a third of
the time that a review takes in all, and two threads of one interpreter do not run side by side. So
a worker has one such process: payloads go there by the parcel, rows come back.

    Decoder   the worker's side: starts the process, hands parcels to it in order
    Decoded   what comes back of a parcel: of each record its row, or why it has none

The process holds nothing that cannot be had again. It ends when the worker is gone, however that
ended; if it ends itself, `decode` raises, and with it the worker does.
"""

import asyncio
import multiprocessing
import signal
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue

from schemas.category import CategorySchemas
from schemas.decoding import decode
from schemas.errors import EventError, ListuneError
from schemas.topic_names import KINDS
from schemas.versions import SchemaVersions
from streams import metrics
from streams.pool.rows import Row, row_of
from streams.worker.gc_tuning import collect_seldom

Raw = tuple[int, int, bytes | None]
"""A record's offset, its timestamp in ms, and its payload."""


@dataclass(frozen=True)
class Parcel:
    """Records of one partition."""

    topic: str
    partition: int
    raws: Sequence[Raw]


@dataclass(frozen=True)
class Decoded:
    """A parcel's records, in their order.

    unknown: a review among them was made under a schema that is not known (yet).
    seconds: what it took.
    """

    rows: Sequence[Row | EventError]
    unknown: bool
    seconds: float


class Decoder:
    """Decodes parcels in a process of its own, one after the other. Belongs to one thread."""

    def __init__(self, schemas: CategorySchemas, max_event_bytes: int) -> None:
        """Starts the process. `schemas`: those in force."""
        self._schemas = schemas
        # Not forked: of a process with threads and a broker's client only a part would be there.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, schemas, max_event_bytes), name="decoding", daemon=True
        )
        self._process.start()
        theirs.close()  # or its end would never be seen here
        self._to_send: SimpleQueue[Parcel | CategorySchemas] = SimpleQueue()
        self._waiting: SimpleQueue[Future[Decoded]] = SimpleQueue()
        # A pipe holds less than a parcel: whoever sends waits for the process, and so for it.
        for work in (self._send, self._receive):
            threading.Thread(target=work, name="decoding", daemon=True).start()

    def take(self, schemas: CategorySchemas) -> bool:
        """From now on `schemas` are in force; whether others were before."""
        if schemas is self._schemas:
            return False
        self._schemas = schemas
        self._to_send.put(schemas)
        return True

    async def decode(self, parcel: Parcel) -> Decoded:
        """The rows of a parcel.

        Raises:
            ListuneError: the process is gone.
        """
        decoding: Future[Decoded] = Future()
        self._waiting.put(decoding)
        self._to_send.put(parcel)
        decoded = await asyncio.wrap_future(decoding)
        metrics.STAGE_SECONDS.labels("validate").observe(decoded.seconds)
        return decoded

    def close(self) -> None:
        """Ends the process; what it has under way is lost."""
        self._process.kill()
        self._process.join()

    def _send(self) -> None:
        try:
            while True:
                self._pipe.send(self._to_send.get())
        except OSError:
            return  # it is gone, as `_receive` tells

    def _receive(self) -> None:
        try:
            while True:
                decoded: Decoded = self._pipe.recv()
                decoding = self._waiting.get()
                if decoding.set_running_or_notify_cancel():
                    decoding.set_result(decoded)
        except (EOFError, OSError):
            gone = ListuneError("the process that decodes has ended; its last words are above")
            while True:
                decoding = self._waiting.get()
                if decoding.set_running_or_notify_cancel():
                    decoding.set_exception(gone)


# ----------------------------------------------------------------------------- in the process


def _serve(
    pipe: "Connection[Decoded, Parcel | CategorySchemas]",
    schemas: CategorySchemas,
    max_event_bytes: int,
) -> None:
    """Decodes what comes through `pipe` until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's: this process ends with the worker
    collect_seldom()
    versions = SchemaVersions(schemas)
    try:
        while True:
            job = pipe.recv()
            if isinstance(job, Parcel):
                pipe.send(_decode(job, versions, max_event_bytes))
            else:
                versions.replace(job)
    except (EOFError, OSError):
        return


def _decode(parcel: Parcel, versions: SchemaVersions, max_event_bytes: int) -> Decoded:
    began = time.perf_counter()
    rows: list[Row | EventError] = []
    unknown = False
    for offset, timestamp_ms, payload in parcel.raws:
        try:
            event = decode(KINDS[parcel.topic], payload, max_event_bytes)
            row = row_of(event, versions, parcel.partition, offset, timestamp_ms)
        except EventError as error:
            rows.append(error.with_traceback(None))  # which would hold these very rows
            continue
        except ValueError as error:  # text that cannot be written, of which none is known
            rows.append(EventError("not_storable", f"the pool cannot store it: {error}"))
            continue
        unknown = unknown or row.get("shown", 0) is None
        rows.append(row)
    return Decoded(rows, unknown, time.perf_counter() - began)
