"""Several curate workers on a real broker: each has some shards, and a rebalance moves them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from schemas.category import CategorySchemas
from schemas.topic_names import RETRAIN
from streams.pool.shard import Shard, shards_of
from streams.replay.rebuild import replay
from streams.settings import StreamsSettings
from streams.sql.client import ask_writer
from tests.streams.pool.world import held_out_id
from tests.streams.support import Worker, listing, read_all, send
from tests.waiting import wait_for

MakeWorker = Callable[..., Worker]
TABLES = ("requests", "predictions", "reviews", "samples")


@pytest.fixture
def settings(settings: StreamsSettings) -> StreamsSettings:
    return settings.model_copy(update={"sharded": True})


@pytest.fixture
def curate(settings: StreamsSettings, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Makes curate workers of different names, and on request of another machine."""
    made: list[Worker] = []

    def make(name: str, changed: StreamsSettings | None = None) -> Worker:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        made.append(
            Worker("curate", changed or settings, folder, {"WORKER": name, "SESSION_S": "6"})
        )
        return made[-1]

    yield make
    for one in made:
        if not one.dead():
            one.kill()


def count(settings: StreamsSettings, table: str) -> int:
    """Rows of a table in all shards, asked of the workers that have them."""
    asked = f"SELECT count(*) FROM store.{table}"
    return sum(ask_writer(settings, asked, shard)[0][0] for shard in shards_of(settings))


def whole(settings: StreamsSettings, listings: int) -> bool:
    """Whether every event of so many listings is in the shards, once."""
    try:
        return all(count(settings, table) == listings for table in TABLES)
    except Exception:
        return False  # a shard is moving


def used(settings: StreamsSettings, shard: Shard) -> list[str]:
    rows = ask_writer(settings, "SELECT listing_id FROM store.used ORDER BY listing_id", shard)
    return [row[0] for row in rows]


def opened(worker: Worker) -> set[int]:
    """The shards that a worker says it has now."""
    now: set[int] = set()
    for number, what in re.findall(r"shard (\d+) (is open|goes)", worker.log.read_text()):
        (now.add if what == "is open" else now.discard)(int(number))
    return now


def test_shards_move_between_workers_and_everything_counts_once(
    settings: StreamsSettings,
    schemas: CategorySchemas,
    curate: Callable[..., Worker],
) -> None:
    first = curate("first").start()
    send(settings, *(event for n in range(20) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: whole(settings, 20))
    assert opened(first) == {0, 1, 2, 3}

    second = curate("second").start()  # a rebalance gives it half of the shards
    send(settings, *(event for n in range(20) for event in listing(schemas, f"b{n}")))
    wait_for(lambda: whole(settings, 40))
    wait_for(lambda: len(opened(second)) == 2 and len(opened(first)) == 2)
    assert opened(first) | opened(second) == {0, 1, 2, 3}

    second.kill()  # after its session's time the first has all of them again
    send(settings, *(event for n in range(20) for event in listing(schemas, f"c{n}")))
    wait_for(lambda: whole(settings, 60), 60)
    assert opened(first) == {0, 1, 2, 3}
    for shard in shards_of(settings):
        assert replay(settings, schemas, lambda *_: None, shard).equal


def test_two_workers_together_begin_one_round_with_the_best_of_all_shards(
    settings: StreamsSettings,
    schemas: CategorySchemas,
    curate: Callable[..., Worker],
) -> None:
    settings = settings.model_copy(update={"k": 20})
    ids = [held_out_id(0), *(f"a{n}" for n in range(30))]
    send(settings, *(event for name in ids for event in listing(schemas, name)))
    curate("first", settings).start()
    curate("second", settings).start()
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 1)
    # All listings have the same deficit: the first twenty by name are taken, of whatever shard.
    best = sorted(f"a{n}" for n in range(30))[:20]
    for shard in shards_of(settings):
        wait_for(lambda shard=shard: used(settings, shard) == best)
    assert len(read_all(settings, RETRAIN)) == 1


def test_another_machine_rebuilds_a_shard_from_a_copy_and_the_topics(
    settings: StreamsSettings,
    schemas: CategorySchemas,
    curate: Callable[..., Worker],
    tmp_path: Path,
) -> None:
    kept = {"snapshot_dir": tmp_path / "kept", "snapshot_minutes": 0.02}
    here = settings.model_copy(update=kept)
    first = curate("here", here).start()
    send(settings, *(event for n in range(20) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: whole(here, 20))
    wait_for(lambda: len(list((tmp_path / "kept").glob("*.duckdb"))) == 4)
    first.kill()
    there = here.model_copy(update={"pool_dir": tmp_path / "elsewhere"})
    second = curate("there", there).start()
    send(settings, *(event for n in range(20) for event in listing(schemas, f"b{n}")))
    wait_for(lambda: whole(there, 40), 60)
    assert "begins with the copy" in second.log.read_text()
    for shard in shards_of(there):
        assert replay(there, schemas, lambda *_: None, shard).equal
