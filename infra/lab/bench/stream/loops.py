"""The loops that curate is compared with, in a process of their own.

Both read topics from their beginning, parse each event with `json` and insert batches into a DuckDB
file by its quickest way, one JSON parameter a statement. Nothing is validated, no key is unique,
and a crash loses or doubles what is under way.

- `confluent`: a consumer of confluent-kafka, whose librdkafka fetches and unpacks in C.
- `faust`: an agent of Faust that takes its stream in batches.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.lab.bench.job import peak_memory_mb, say
from streams.pool.file import connect

WITHIN_S = 0.2
"""A batch that does not fill is written after so long."""
COLUMNS = ("id", "listing_id", "category", "category_schema_hash", "content")


@dataclass(frozen=True)
class LoopJob:
    """What a loop is to read.

    Attributes:
        way: key of `WAYS`.
        count: events on `topics`; the loop ends with the last of them.
        folder: for the DuckDB file.
        batch: events a statement.
    """

    way: str
    bootstrap_servers: str
    topics: list[str]
    count: int
    folder: str
    batch: int


class Sink:
    """Events into DuckDB; `commits` has the seconds, the CPU seconds and the count after each."""

    def __init__(self, job: LoopJob) -> None:
        self.commits: list[tuple[float, float, int]] = []
        self._of, self._total = job.count, 0
        path = Path(job.folder) / f"{job.way}-{job.topics[-1]}.duckdb"
        self._con = connect(path)
        columns = ", ".join(f"{name} VARCHAR" for name in COLUMNS)
        self._con.execute(f"CREATE TABLE events ({columns})")
        shape = json.dumps([dict.fromkeys(COLUMNS, "VARCHAR")])
        self._insert = (
            f"INSERT INTO events SELECT unnest(from_json($1, '{shape}'), recursive := true)"
        )

    def write(self, payloads: Iterable[bytes]) -> bool:
        """Parses and inserts a batch; whether it was the last."""
        rows = [_row(json.loads(payload)) for payload in payloads]
        self._con.execute(self._insert, [json.dumps(rows)])
        self._total += len(rows)
        self.commits.append((time.time(), time.process_time(), self._total))
        say(self._total, self._of, "events")
        return self._total >= self._of


def _row(event: dict[str, Any]) -> dict[str, str]:
    content = event.get("submitted") or event.get("values") or event.get("description")
    return {
        "id": event.get("review_id") or event.get("prediction_id") or event["request_id"],
        "listing_id": event["listing_id"],
        "category": event["category"],
        "category_schema_hash": event["category_schema_hash"],
        "content": json.dumps(content),
    }


def confluent(job: LoopJob, sink: Sink) -> None:
    """Reads with confluent-kafka until all is written."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": job.bootstrap_servers,
            "group.id": f"bench.confluent.{job.topics[-1]}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe(job.topics)
    ended = False
    while not ended:
        messages = consumer.consume(job.batch, WITHIN_S)
        payloads = [value for message in messages if (value := message.value()) is not None]
        if payloads:
            ended = sink.write(payloads)
            consumer.commit(asynchronous=True)
    consumer.close()


def faust(job: LoopJob, sink: Sink) -> None:
    """Reads with an agent's `take` until all is written."""
    import faust

    async def read() -> None:
        app = faust.App(
            f"bench.faust.{job.topics[-1]}",
            broker=f"kafka://{job.bootstrap_servers}",
            store="memory://",
            datadir=job.folder,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            autodiscover=False,
        )
        topic = app.topic(*job.topics, value_type=bytes, value_serializer="raw")
        ended = asyncio.Event()

        async def into_duckdb(stream: Any) -> None:
            async for payloads in stream.take(job.batch, within=WITHIN_S):
                if sink.write(payloads):
                    ended.set()

        app.agent(topic)(into_duckdb)
        await app.start()
        await ended.wait()

    asyncio.new_event_loop().run_until_complete(read())


WAYS: dict[str, Callable[[LoopJob, Sink], None]] = {"confluent": confluent, "faust": faust}


def carry_out(job: LoopJob) -> dict[str, Any]:
    """The commits of the loop, as `Sink` has them, and its peak of memory."""
    sink = Sink(job)
    WAYS[job.way](job, sink)
    return {"commits": sink.commits, "peak_memory_mb": peak_memory_mb()}
