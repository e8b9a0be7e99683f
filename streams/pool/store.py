"""The pool in one DuckDB file: rows and offsets move together or not at all.

`Pool.apply` takes a micro-batch from the payload topics, `Pool.apply_control` one from the control
topics. Each is one transaction that ends with the next offset expected, so that a replay from any
earlier offset changes nothing and a crash loses and doubles nothing. Events of one listing may come
in any order: whatever arrives last completes the sample.

What comes in has been validated by pydantic before; DuckDB's `from_json` would turn an ill-typed
value into NULL. A `Pool` belongs to one thread.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import duckdb

from schemas.category import CategorySchemas
from schemas.errors import EventError
from schemas.events import (
    ListingForgotten,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    RetrainRequest,
    listing_sha256,
)
from schemas.topic_names import CONTROL_KINDS, PREDICTIONS, REVIEWS
from schemas.versions import SchemaVersions
from streams import metrics
from streams.kafka.partitions import Partition
from streams.pool import file, heldout, outdated, pictures
from streams.pool.erasure import forget, forgotten_hashes, unsettle
from streams.pool.errors import OffsetGap, PoolError, PoolRefused
from streams.pool.observe import observe, take_over
from streams.pool.origin import Bounds, check_bounds
from streams.pool.rows import EVENT_TABLES, Row, insert, row_of
from streams.pool.samples import recompute
from streams.settings import StreamsSettings

__all__ = ["OffsetGap", "Pool", "PoolError", "PoolRefused", "Record"]

CONTROL_TOPICS = {kind: topic for topic, kind in CONTROL_KINDS.items()}


@dataclass(frozen=True)
class Record:
    """One record of a payload topic, as its row; None where there is only an offset to pass.

    None stands for a tombstone, for a record that went to the dead letters or for a `hole`.
    `payload` is what stands in the topic, for the dead letter of a record that turns out not to be
    storable. `since`: the log has nothing to read from there up to `offset`.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    row: Row | None
    payload: bytes | None = None
    since: int | None = None


def hole(topic: str, partition: int, start: int, stop: int) -> Record:
    """Nothing that could be read from offset `start` up to `stop`: a transaction's marker, say."""
    return Record(topic, partition, stop - 1, 0, None, since=start)


class Pool:
    """The pool of one marketplace. `con` is its connection, for the rest of this package, and
    `cluster_id` and `topic_ids` are of the Kafka that it reads."""

    def __init__(
        self,
        settings: StreamsSettings,
        schemas: CategorySchemas,
        cluster_id: str,
        topic_ids: Mapping[str, str],
    ) -> None:
        """Opens, or makes, `settings.pool_dir/<pool>.duckdb`.

        Raises:
            PoolError: another process has the file.
            PoolRefused: it belongs to another Kafka cluster or to a topic that was deleted and made
                again (its offsets would mean other records), or another version wrote it.
        """
        self.settings = settings
        self.cluster_id, self.topic_ids = cluster_id, topic_ids
        self._versions = SchemaVersions(schemas)
        settings.pool_dir.mkdir(parents=True, exist_ok=True)
        self.path = file.pool_path(settings)
        self.con = file.connect(self.path)
        try:
            self.con.execute(file.read_definitions())
            with self.transaction():
                file.take_origin(self.con, cluster_id, topic_ids, self.path)
                file.remember(self.con, settings)
                heldout.divide(self.con, settings.heldout_share)
                take_over(self.con)
                outdated.take_over(self.con, self.schemas)
                file.compare_measures(self.con)
            self._forgotten = forgotten_hashes(self.con)
        except BaseException:
            self.con.close()
            raise

    @property
    def schemas(self) -> CategorySchemas:
        """The category schemas in force, by which samples are measured."""
        return self._versions.current

    def record(
        self,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int,
        event: ListingRequest | ListingPrediction | ListingReview | None,
    ) -> Record:
        """The record of an event that was decoded here."""
        place = (partition, offset, timestamp_ms)
        row = None if event is None else row_of(event, self._versions, *place)
        return Record(topic, *place, row)

    def take_schemas(self, schemas: CategorySchemas) -> None:
        """From now on `schemas` are in force; what was measured by others waits for `remeasure`."""
        self._versions.replace(schemas)
        with self.transaction():
            outdated.take_over(self.con, self.schemas)

    def remeasure(self) -> int:
        """Measures the next few outdated listings by the schemas in force; how many still wait.

        Each call is one transaction and takes a fraction of a second, so that records come in
        between. A crash leaves what is measured, and the rest waiting.
        """
        if outdated.count(self.con):
            with self.transaction():
                outdated.remeasure(self.con, self.schemas)
        return outdated.count(self.con)

    def watermark(self, topic: str, partition: int) -> int:
        """The next offset expected; 0 where nothing came yet."""
        row = self.con.execute(
            "SELECT next_offset FROM store.watermarks WHERE topic = ? AND partition = ?",
            [topic, partition],
        ).fetchone()
        return int(row[0]) if row else 0

    def watermarks(self) -> dict[Partition, int]:
        """The next offset expected of every partition that was begun."""
        rows = self.con.execute("FROM store.watermarks").fetchall()
        return {(topic, partition): next_offset for topic, partition, next_offset in rows}

    def join_log(self, bounds: Mapping[Partition, Bounds]) -> None:
        """Compares the watermarks with the log, before anything is taken from it.

        A partition that was never begun (all of them, in a new pool) begins where the log does.

        Raises:
            PoolRefused: the pool is ahead of the log, or records were deleted before it read them.
        """
        known = self.watermarks()
        check_bounds(known, bounds, self.path)
        with self.transaction():
            self._advance({p: start for p, (start, _) in bounds.items() if p not in known})

    def start_at(self, topic: str, partition: int, offset: int) -> None:
        """Expects `offset` next: what lies before it was deleted from the topic by retention."""
        with self.transaction():
            self._advance({(topic, partition): offset})

    def pass_over(self, stops: Mapping[Partition, int]) -> None:
        """Expects these offsets next, where it stands before them: there is no more to read."""
        known = self.watermarks()
        with self.transaction():
            self._advance({p: stop for p, stop in stops.items() if stop > known.get(p, 0)})

    def apply(self, records: Sequence[Record]) -> None:
        """Writes a micro-batch: rows, samples and next offsets in one transaction.

        Records below the watermark are skipped: they have been applied before.

        Raises:
            OffsetGap: a record lies beyond the watermark, and not behind a hole of the log alone.
                Nothing was written.
        """
        fresh, watermarks = self._in_sequence(records)
        if not watermarks:
            return
        with self.transaction():
            with metrics.stage("insert"):
                touched = self._insert(fresh)
            recompute(self.con, self.schemas, sorted(touched))
            self._advance(watermarks)
        metrics.count_refused(r.row for r in fresh if r.topic == REVIEWS and r.row is not None)

    def apply_storable(
        self, records: Sequence[Record], refuse: Callable[[Record, EventError], None]
    ) -> None:
        """As `apply`; a record that DuckDB cannot store is found by halving, and passed over.

        Before its offset is passed it is handed to `refuse`, with the reason `not_storable`.

        Raises:
            OffsetGap: as `apply`.
        """
        try:
            self.apply(records)
        except (duckdb.DataError, duckdb.InvalidInputException, ValueError) as error:
            if len(records) > 1:
                middle = len(records) // 2
                self.apply_storable(records[:middle], refuse)
                self.apply_storable(records[middle:], refuse)
                return
            [record] = records
            if record.row is None:
                raise
            refuse(record, EventError("not_storable", f"the pool cannot store it: {error}"))
            self.apply([replace(record, row=None)])

    def apply_control(
        self,
        events: Sequence[ModelEvent | RetrainRequest | ListingForgotten],
        positions: Mapping[str, int],
    ) -> None:
        """Writes what the control topics say, in log order, and the next offset of each topic.

        The control log is read from its beginning at every start: a topic whose position is not
        beyond its watermark is skipped whole, and an event that was applied before counts once.
        """
        ahead = {
            topic: position
            for topic, position in positions.items()
            if position > self.watermark(topic, 0)
        }
        if not ahead:
            return
        new = [event for event in events if CONTROL_TOPICS[type(event)] in ahead]
        forgotten = [event for event in new if isinstance(event, ListingForgotten)]
        with self.transaction():
            for event in new:
                if not isinstance(event, ListingForgotten):
                    observe(self.con, self.settings, event)
            forget(self.con, self.settings.pool, forgotten)
            self._advance({(topic, 0): position for topic, position in ahead.items()})
        self._forgotten |= {event.listing_sha256 for event in forgotten}

    def close(self) -> None:
        """Closes the file; another process may open it then."""
        self.con.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written inside is committed together, or not at all."""
        self.con.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.con.execute("ROLLBACK")
            raise
        self.con.execute("COMMIT")

    def _in_sequence(
        self, records: Sequence[Record]
    ) -> tuple[list[Record], dict[tuple[str, int], int]]:
        """The records not applied yet, and the watermarks after them."""
        fresh: list[Record] = []
        expected = self.watermarks()
        advanced: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic, record.partition)
            next_offset = expected.get(place, 0)
            if record.offset < next_offset:
                continue
            since = record.offset if record.since is None else record.since
            if since > next_offset:
                raise OffsetGap(*place, next_offset, record.offset)
            expected[place] = advanced[place] = record.offset + 1
            fresh.append(record)
        return fresh, advanced

    def _insert(self, records: Sequence[Record]) -> set[str]:
        """Writes the rows of `records`; returns the listings that they are about."""
        rows: dict[str, list[Row]] = {topic: [] for topic in EVENT_TABLES}
        touched: set[str] = set()
        late: list[Row] = []
        for record in records:
            if record.row is None:
                continue
            listing_id = str(record.row["listing_id"])
            if not self._is_forgotten(listing_id):
                rows[record.topic].append(record.row)
                touched.add(listing_id)
            elif record.topic == PREDICTIONS:
                late.append(record.row)
        for topic, table in EVENT_TABLES.items():
            insert(self.con, table, rows[topic])
        pictures.note(self.con, rows[PREDICTIONS])
        if shown := pictures.note(self.con, late):
            unsettle(self.con, shown)
        self._settle_orders([row["request_id"] for row in rows[PREDICTIONS]])
        return touched

    def _is_forgotten(self, listing_id: str) -> bool:
        # Most pools have forgotten nothing: then no hash is made.
        return bool(self._forgotten) and listing_sha256(listing_id) in self._forgotten

    def _settle_orders(self, request_ids: Sequence[object]) -> None:
        if request_ids:
            self.con.execute(
                "UPDATE store.backfill_orders o SET outcome = p.status FROM store.predictions p "
                "WHERE o.request_id = p.request_id AND o.outcome IS NULL "
                "AND o.request_id IN (SELECT unnest(from_json($1, '[\"VARCHAR\"]')))",
                [json.dumps(request_ids)],
            )

    def _advance(self, watermarks: Mapping[tuple[str, int], int]) -> None:
        moved = [
            {"topic": topic, "partition": partition, "next_offset": next_offset}
            for (topic, partition), next_offset in watermarks.items()
        ]
        insert(self.con, "watermarks", moved)
