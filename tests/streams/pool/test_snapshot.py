"""A copy of the pool's file, and a worker elsewhere that begins with it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.events import ModelEventKind
from streams.pool import outbox, snapshot
from streams.pool.store import Pool
from streams.replay.fingerprint import TABLES, take
from tests.streams.world import SCHEMAS, TOPIC_IDS, World, settings


def test_another_host_goes_on_from_the_copy_and_the_topics(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    here = World(tmp_path / "here", snapshot_dir=kept)
    here.sell_many(6)
    assert snapshot.take(here.pool) == kept / "default.duckdb"
    later = len(here.fed)
    here.sell_many(4, prefix="later")

    elsewhere = settings(tmp_path / "elsewhere", snapshot_dir=kept)
    assert snapshot.restore(elsewhere)
    there = Pool(elsewhere, SCHEMAS, "cluster", TOPIC_IDS)
    assert there.watermarks() != here.pool.watermarks()
    there.apply(here.fed[later:])
    starts = dict.fromkeys(here.pool.watermarks(), 0)
    ours, theirs = (
        take(lambda sql, con=con: con.execute(sql).fetchall(), starts)
        for con in (here.pool.con, there.con)
    )
    assert ours.watermarks == theirs.watermarks
    assert ours.tables([]) == theirs.tables([])
    assert ours.tables([])["samples"].rows == 10
    assert set(ours.tables([])) == set(TABLES)
    here.pool.close()
    there.close()


def test_the_file_stays_the_writers_own_while_it_is_copied(tmp_path: Path) -> None:
    world = World(tmp_path, snapshot_dir=tmp_path / "kept")
    world.sell("a")
    snapshot.take(world.pool)
    world.sell("b")
    opening = [sys.executable, "-c", "import duckdb, sys; duckdb.connect(sys.argv[1])"]
    other = subprocess.run([*opening, str(world.pool.path)], capture_output=True, text=True)
    assert "Could not set lock" in other.stderr
    assert world.pool.con.execute("SELECT count(*) FROM store.samples").fetchall() == [(2,)]
    world.pool.close()


def test_two_workers_that_copy_at_the_same_time_do_not_write_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    one, other = (World(tmp_path / name, snapshot_dir=kept) for name in ("one", "other"))
    copy = subprocess.run

    def copied_meanwhile(*args: Any, **more: Any) -> Any:
        done = copy(*args, **more)
        monkeypatch.setattr(subprocess, "run", copy)
        assert snapshot.take(other.pool), "before the first is published"
        return done

    monkeypatch.setattr(subprocess, "run", copied_meanwhile)
    assert snapshot.take(one.pool) == kept / "default.duckdb"
    assert [path.name for path in kept.iterdir()] == ["default.duckdb"]
    for world in (one, other):
        world.pool.close()


def test_a_file_that_has_read_as_much_is_not_replaced_by_a_copy(tmp_path: Path) -> None:
    world = World(tmp_path, snapshot_dir=tmp_path / "kept")
    world.sell("a")
    snapshot.take(world.pool)
    world.pool.close()
    assert not snapshot.restore(world.settings)


def test_a_file_that_a_copy_has_overtaken_is_replaced_by_it(tmp_path: Path) -> None:
    former = World(tmp_path / "former", snapshot_dir=tmp_path / "kept")
    former.sell("a")
    former.pool.close()
    worker = World(tmp_path / "worker", snapshot_dir=tmp_path / "kept")
    worker.sell_many(2)
    snapshot.take(worker.pool)
    worker.pool.close()
    assert snapshot.restore(former.settings)
    former.open()
    assert former.rows("SELECT count(*) FROM store.samples") == [(2,)]
    former.pool.close()


def test_a_copy_of_other_topics_replaces_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, snapshot_dir=tmp_path / "kept")
    world.sell("a")
    copy = snapshot.take(world.pool)
    assert copy is not None
    with duckdb.connect(str(copy)) as con:
        con.execute("UPDATE store.meta SET value = 'other' WHERE name = 'cluster_id'")
        con.execute("UPDATE store.watermarks SET next_offset = 1000")
    world.pool.close()
    assert not snapshot.restore(world.settings)


def test_without_a_folder_nothing_is_copied(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert snapshot.take(world.pool) is None
    assert not snapshot.restore(settings(tmp_path / "elsewhere"))
    world.pool.close()


def test_a_decision_that_was_not_sent_is_void_once_another_worker_decided(world: World) -> None:
    """Another host had the pool meanwhile: what stands unsent in this file is old."""
    world.sell_many(4)
    [ours] = world.tick()
    assert world.rows("SELECT state FROM store.rounds") == [("decided",)]
    world.hear(ours.model_copy(update={"files": ours.files[1:]}))
    world.train(ModelEventKind.REJECTED)
    assert world.rows("FROM store.pending") == []
    assert world.rows("SELECT state FROM store.rounds") == [("rejected",)]
    assert world.rows("FROM store.used") == []  # theirs trained on none of them


def test_a_promotion_that_another_worker_decided_voids_what_waits_to_be_sent(world: World) -> None:
    world.sell_many(4)
    world.step()
    adapter = world.train(ModelEventKind.PROPOSED)
    [ours] = world.tick()
    assert ours.kind is ModelEventKind.PROMOTED
    world.hear(ours.model_copy(update={"event_id": "theirs"}))
    assert outbox.pending(world.pool.con, 10) == []
    assert world.rows("FROM store.pending") == []
    assert world.conductor.champion().hash == adapter
