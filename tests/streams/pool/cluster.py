"""A sharded pool to test with: three files, and the topics between them."""

from pathlib import Path
from typing import Any

from schemas.events import ModelEvent, RetrainRequest
from streams.pool import outbox
from streams.pool.deciding.conductor import Conductor
from streams.pool.peers import Peers, ShardReport
from streams.pool.shard import Shard, shards_of
from streams.pool.store import Pool
from tests.streams.pool.world import (
    CHANNEL,
    CONTROL,
    SCHEMAS,
    START_MS,
    TOPIC_IDS,
    held_out_id,
    prediction,
    request,
    review,
    settings,
)

COUNT = 3


class Cluster:
    """Three shards, and the topics between them: payload, control, and the reports."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.settings = settings(folder, **{"sharded": True, "partitions": COUNT, **changes})
        self.now_ms = START_MS
        self.offsets: dict[tuple[str, int], int] = {}
        self.control: list[ModelEvent | RetrainRequest] = []
        self.heard = dict.fromkeys(range(COUNT), 0)
        self.reports: dict[int, ShardReport] = {}
        self.orders: list[Any] = []
        self.deaf: set[int] = set()
        self.pools: dict[int, Pool] = {}
        self.conductors: dict[int, Conductor] = {}
        for shard in shards_of(self.settings):
            self.open(shard.number)
        self.sell(COUNT - 1, held_out_id(0), filled=3)

    def open(self, number: int) -> None:
        pool = Pool(self.settings, SCHEMAS, "cluster", TOPIC_IDS, Shard(number, COUNT))
        self.pools[number], self.conductors[number] = pool, Conductor(pool)

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()

    def sell(self, shard: int, listing: str, filled: int = 0, **changes: Any) -> None:
        asked = request(listing)
        answer = prediction(asked, filled, **changes)
        records = []
        for event in (asked, answer, review(answer)):
            place = (CHANNEL[type(event)], shard)
            offset = self.offsets.get(place, 0)
            self.offsets[place] = offset + 1
            records.append(self.pools[shard].record(*place, offset, self.now_ms, event))
        self.pools[shard].apply(records)

    def say(self, *events: ModelEvent | RetrainRequest) -> None:
        self.control += events

    def hear(self, number: int) -> None:
        """A shard reads the control topics to their end."""
        if number in self.deaf:
            return
        new = self.control[self.heard[number] :]
        self.heard[number] = len(self.control)
        positions: dict[str, int] = {}
        for event in self.control:
            positions[CONTROL[type(event)]] = positions.get(CONTROL[type(event)], 0) + 1
        self.pools[number].apply_control(new, positions)

    def step(self, number: int, publish: bool = True) -> None:
        """What a shard's worker does in a second: tick, publish, report."""
        others = tuple(r for n, r in self.reports.items() if n != number)
        conductor, con = self.conductors[number], self.pools[number].con
        conductor.tick(self.now_ms, 0, True, Peers(others, COUNT - 1))
        for row in outbox.pending(con, 1000) if publish else ():
            kinds: dict[str, Any] = {topic: kind for kind, topic in CONTROL.items()}
            if kind := kinds.get(row.topic):
                self.say(kind.model_validate_json(row.payload))
            else:
                self.orders.append(row.key)
            outbox.done(con, [row.id])
        leader = self.reports.get(0)
        asked = leader.collect if leader else None
        self.reports[number] = conductor.report(self.now_ms, 0, True, asked)

    def seconds(self, count: int, *silent: int) -> None:
        for _ in range(count):
            self.now_ms += 1000
            for number in range(COUNT):
                if number not in silent:
                    self.hear(number)
                    self.step(number)

    @property
    def rounds(self) -> list[RetrainRequest]:
        return [event for event in self.control if isinstance(event, RetrainRequest)]

    def ask(self, sql: str, shard: int = 0) -> list[Any]:
        return self.pools[shard].con.execute(sql).fetchall()
