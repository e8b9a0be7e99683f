"""The pool rebuilt from the topics, beside the live one, and compared with it.

A new pool reads the topics from their first record kept to where the live pool stands, and there
the two are compared (`streams.replay.fingerprint`); then it reads on to the ends that stood at the
start. It may take the live pool's place if no worker has that.

Samples follow from the topics and the category schemas alone. The rebuilt pool measures by the file
of schemas, as workers do. A live pool that measures by others (its worker has not looked at the
file yet, or refused it, or still measures anew) is compared in all but the samples.

Equal in both are `requests`, `predictions`, `reviews`, `samples` and `rounds` of the retained
window, and with them what follows from the control topics: adapters, champion, listings used.
What a rebuilt pool does not have, because no topic has it:

- `outbox` and `pending`: a decision that was not published was not made, and is made again;
- `backfill_orders`: listings may be ordered once more under the same identity, and the first answer
  to that stays the canonical one;
- what lies before the window, listings used by rounds whose manifest is gone, and the moment at
  which the bounds of the pool let go of a listing.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import duckdb

from schemas.category import CategorySchemas
from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import Event, RetrainRequest
from schemas.topic_names import CONTROL_KINDS, KINDS, MODEL_EVENTS, POOL_TOPICS
from streams.kafka.control_log import ControlEvent
from streams.kafka.log_reader import LogRecord, Span, read_span
from streams.kafka.partitions import Partition
from streams.kafka.topics import cluster_identity, log_bounds
from streams.pool.errors import PoolError
from streams.pool.file import pool_path
from streams.pool.origin import deleted
from streams.pool.store import Pool
from streams.replay.fingerprint import Ask, Fingerprint, take
from streams.replay.live_pool import ask_live, asking, held_to_read, look_at
from streams.settings import StreamsSettings

E = TypeVar("E", bound=Event)

Tell = Callable[[int, int], None]
"""Called with the records read so far, and with how many there are in all."""


@dataclass(frozen=True)
class Replayed:
    """A pool that was rebuilt; `live` is None where there was nothing to compare it with.

    outside: how many listings of the live pool have events before what the topics keep.
    other_schemas: the live pool measures by others, and `live` has no samples to compare.
    """

    path: Path
    rebuilt: Mapping[str, Fingerprint]
    live: Mapping[str, Fingerprint] | None
    why_not_compared: str = ""
    outside: int = 0
    other_schemas: bool = False

    @property
    def equal(self) -> bool:
        """Whether there was a live pool, and all tables compared are as they are there."""
        return self.live is not None and all(
            self.rebuilt[table] == print_ for table, print_ in self.live.items()
        )


def replay(settings: StreamsSettings, schemas: CategorySchemas, tell: Tell) -> Replayed:
    """Rebuilds the pool into `<pool_dir>/replay/`; compares it with the live one.

    The live pool is only read: from its file, or through the worker that has it. A rebuild that was
    interrupted is begun anew.

    Raises:
        PoolError: another replay is under way.
        TopicsError: no broker answers, or retention deletes what is being read.
    """
    with _alone(settings):
        return _replay(settings, schemas, tell, ask_live(settings))


def replay_and_swap(settings: StreamsSettings, schemas: CategorySchemas, tell: Tell) -> Replayed:
    """As `replay`, and then puts the rebuilt pool in the place of the live one.

    The former file is kept beside it as `<pool>.before-replay.duckdb`.

    Raises:
        PoolError: a worker has the live pool, or made one meanwhile; or as `replay`.
    """
    live = pool_path(settings)
    with _alone(settings), held_to_read(live) as held:
        ask = asking(held) if held else None
        done = _replay(settings, schemas, tell, ask)
        if held and done.live is not None:
            _forget_answered_wishes(done.path, held)
        if held:
            live.replace(live.with_name(f"{live.stem}.before-replay.duckdb"))
        try:
            os.link(done.path, live)  # unlike a rename it never replaces what a worker has made
        except FileExistsError:
            raise PoolError(
                f"a curate worker has made {live} anew meanwhile and fills it from the topics; "
                "let it, or stop it and try again"
            ) from None
        done.path.unlink()
    return replace(done, path=live)


def accept_deleted(settings: StreamsSettings, schemas: CategorySchemas) -> list[str]:
    """Lets the pool go on where retention deleted what it expects next; says what it will lack.

    Raises:
        PoolError: there is no pool, or a worker has it.
        TopicsError: no broker answers.
    """
    path = pool_path(settings)
    if not path.exists():
        raise PoolError(f"there is no pool {path}; a new one begins where the log does")
    pool = Pool(settings, schemas, *cluster_identity(settings))
    try:
        gone = deleted(pool.watermarks(), log_bounds(settings, POOL_TOPICS))
        for place, (_, start) in gone.items():
            pool.start_at(*place, start)
    finally:
        pool.close()
    return [
        f"{topic}[{partition}]: records {first} to {start - 1}"
        for (topic, partition), (first, start) in gone.items()
    ]


def _folder(settings: StreamsSettings) -> Path:
    return settings.pool_dir / "replay"


@contextmanager
def _alone(settings: StreamsSettings) -> Iterator[None]:
    """One replay at a time: two would rebuild into the same file."""
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{settings.pool}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PoolError(
                f"another replay of the pool {pool_path(settings)} is under way; wait for its end"
            ) from None
        yield


def _forget_answered_wishes(rebuilt: Path, former: duckdb.DuckDBPyConnection) -> None:
    """What a person asked for and was refused stands in the topics like what is still to be done.

    Only the former pool knows: a wish that it heard of and does not have any more was answered.
    """
    with duckdb.connect(str(rebuilt)) as con:
        for (event_id,) in con.execute("SELECT event_id FROM store.wishes").fetchall():
            answered = former.execute(
                "FROM store.control_events ANTI JOIN store.wishes USING (event_id) "
                "WHERE event_id = ?",
                [event_id],
            ).fetchone()
            if answered:
                con.execute("DELETE FROM store.wishes WHERE event_id = ?", [event_id])


# ------------------------------------------------------------------------------- reading the topics


def _replay(
    settings: StreamsSettings, schemas: CategorySchemas, tell: Tell, ask_live: Ask | None
) -> Replayed:
    origin = cluster_identity(settings)
    starts = {place: start for place, (start, _) in log_bounds(settings, POOL_TOPICS).items()}
    live, why = look_at(ask_live, starts)
    # Asked for after the live pool, which reads on: it cannot be beyond them.
    ends = {place: end for place, (_, end) in log_bounds(settings, POOL_TOPICS).items()}
    beside = settings.model_copy(update={"pool_dir": _folder(settings)})
    for leftover in beside.pool_dir.glob(f"{settings.pool}.duckdb*"):
        leftover.unlink()
    pool = Pool(beside, schemas, *origin)
    try:
        pool.join_log({place: (starts[place], end) for place, end in ends.items()})
        rebuild = _Rebuild(pool, tell, sum(end - starts[place] for place, end in ends.items()))
        if live is None:
            rebuild.read(ends)
            reached = take(asking(pool.con), starts, ())
        else:
            rebuild.read({p: min(live.watermarks.get(p, 0), end) for p, end in ends.items()})
            reached = take(asking(pool.con), starts, live.outside)
            rebuild.read(ends)
        tell(rebuild.total, rebuild.total)
    finally:
        pool.close()
    compacted = rebuild.compacted_rounds()
    done = Replayed(pool.path, reached.tables(compacted), live=None, why_not_compared=why)
    if live is None:
        return done
    tables = live.tables(compacted)
    other_schemas = live.schemas != reached.schemas
    if other_schemas:
        del tables["samples"]
    return replace(done, live=tables, outside=len(live.outside), other_schemas=other_schemas)


@dataclass
class _Rebuild:
    """A new pool on its way through the log."""

    pool: Pool
    tell: Tell
    total: int
    done: int = 0
    began_ms: dict[int, int] = field(default_factory=dict)
    """When each round was asked for."""
    complete_since_ms: int = 0
    """Of what `model.events` said before this moment, compaction has taken away some."""
    next_model_event: int = 0
    _stands: dict[Partition, int] = field(default_factory=dict)
    """What comes next in each partition."""

    def read(self, stops: Mapping[Partition, int]) -> None:
        """Takes in what lies between where the pool stands and `stops`."""
        self._stands = self.pool.watermarks()
        span: Span = {place: (self._stands[place], stop) for place, stop in stops.items()}
        for batch in read_span(self.pool.settings, span):
            self._apply([record for record in batch if record.topic in KINDS])
            self._apply_control([record for record in batch if record.topic in CONTROL_KINDS])
            self.done += len(batch)
            self.tell(self.done, self.total)
        self.pool.pass_over(stops)  # the log may end with what cannot be read

    def compacted_rounds(self) -> set[int]:
        """Rounds of which not every event is in the log any more."""
        return {n for n, began in self.began_ms.items() if began < self.complete_since_ms}

    def _apply(self, read: Sequence[LogRecord]) -> None:
        records = []
        for topic, partition, offset, timestamp_ms, value in read:
            event = _decode(KINDS[topic], value, self.pool.settings)
            record = self.pool.record(topic, partition, offset, timestamp_ms, event)
            records.append(replace(record, since=self._stands[topic, partition]))
            self._stands[topic, partition] = offset + 1
        self.pool.apply_storable(records, lambda *_: None)  # its dead letter is there already

    def _apply_control(self, read: Sequence[LogRecord]) -> None:
        events: list[ControlEvent] = []
        positions: dict[str, int] = {}
        for topic, _, offset, timestamp_ms, value in read:
            event = _decode(CONTROL_KINDS[topic], value, self.pool.settings)
            if event is not None:
                events.append(event)
            if isinstance(event, RetrainRequest) and event.pool == self.pool.settings.pool:
                self.began_ms.setdefault(event.round, event.created_ms)
            if topic == MODEL_EVENTS:
                if offset != self.next_model_event:
                    self.complete_since_ms = timestamp_ms
                self.next_model_event = offset + 1
            positions[topic] = offset + 1
        self.pool.apply_control(events, positions)


def _decode(kind: type[E], value: bytes | None, settings: StreamsSettings) -> E | None:
    try:
        return decode(kind, value, settings.max_event_bytes)
    except EventError:
        return None
