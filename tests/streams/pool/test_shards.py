"""Several shards decide as one pool does: each has a file, one of them the conductor."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from streams.pool import outbox
from streams.pool.deciding.collecting import COLLECT_MS
from streams.pool.errors import PoolRefused
from streams.pool.peers import SILENT_MS, ShardReport
from streams.pool.shard import Shard, check_layout
from tests.streams.pool.cluster import COUNT, Cluster
from tests.streams.pool.world import (
    START_MS,
    World,
    held_out_id,
    settings,
)

REJECTED = ModelEvent(
    kind=ModelEventKind.REJECTED, pool="default", round=1, created_ms=START_MS + 1
)


@pytest.fixture
def cluster(tmp_path: Path) -> Any:
    made = Cluster(tmp_path / "shards", k=7)
    yield made
    made.close()


def listings(round_: RetrainRequest) -> dict[str, set[str]]:
    return {
        file.role: {
            row[0]
            for row in duckdb.execute(
                "SELECT listing_id FROM read_parquet(?)", [file.path]
            ).fetchall()
        }
        for file in round_.files
    }


def test_a_round_takes_the_best_of_all_shards_as_one_pool_would(
    cluster: Cluster, tmp_path: Path
) -> None:
    whole = World(tmp_path / "whole", k=7)
    for number in range(14):
        cluster.sell(number % COUNT, f"l{number}", filled=number % 4)
        whole.sell(f"l{number}", filled=number % 4)
    cluster.seconds(4)
    [round_] = cluster.rounds
    [expected] = [event for event in whole.step() if isinstance(event, RetrainRequest)]
    assert listings(round_) == listings(expected)
    assert (round_.k, round_.pool_size) == (7, expected.pool_size)
    assert round_.mean_deficit == expected.mean_deficit
    whole.pool.close()


def test_no_listing_is_taken_twice(cluster: Cluster) -> None:
    for number in range(30):
        cluster.sell(number % COUNT, f"l{number}")
    cluster.seconds(4)
    cluster.say(REJECTED)
    cluster.seconds(5)
    first, second = (listings(r) for r in cluster.rounds[:2])
    assert not first["train"] & second["train"]
    assert first["heldout"] == second["heldout"] == {held_out_id(0)}
    for shard in range(COUNT):  # each knows of all that are used
        assert cluster.ask("SELECT count(DISTINCT listing_id) FROM store.used", shard) == [(14,)]


def test_a_shard_that_has_not_heard_of_the_last_round_holds_the_next_one_back(
    cluster: Cluster,
) -> None:
    for number in range(30):
        cluster.sell(number % COUNT, f"l{number}")
    cluster.seconds(2)
    cluster.deaf = {2}  # it reports, and reads no control topic
    cluster.seconds(1)
    assert len(cluster.rounds) == 1
    cluster.say(REJECTED)
    cluster.seconds(6)
    assert len(cluster.rounds) == 1
    assert "waiting for shard 2" in cluster.conductors[0].status()
    cluster.deaf = set()
    cluster.seconds(3)
    assert len(cluster.rounds) == 2


def test_a_shard_that_reports_for_another_champion_holds_a_round_back(cluster: Cluster) -> None:
    promoted = ModelEvent(
        kind=ModelEventKind.PROMOTED,
        pool="default",
        round=0,
        created_ms=cluster.now_ms,
        adapter_id="a1",
        adapter_hash="1" * 64,
        adapter_uri="registry/a1.safetensors",
    )
    cluster.say(promoted)
    for number in range(12):
        cluster.sell(number % COUNT, f"l{number}", adapter_id="a1", adapter_hash="1" * 64)
    cluster.deaf = {1}
    cluster.seconds(4)
    assert not cluster.rounds
    cluster.deaf = set()
    cluster.seconds(3)
    assert len(cluster.rounds) == 1


def test_a_silent_shard_holds_a_round_back_until_it_is_there_again(cluster: Cluster) -> None:
    cluster.seconds(1)
    for number in range(12):
        cluster.sell(number % COUNT, f"l{number}")
    cluster.now_ms += SILENT_MS
    cluster.seconds(3, 1)
    assert not cluster.rounds
    assert "waiting for shard 1" in cluster.conductors[0].status()
    cluster.seconds(3)
    assert len(cluster.rounds) == 1


def test_a_collect_that_a_shard_never_answers_is_asked_for_anew(cluster: Cluster) -> None:
    for number in range(12):
        cluster.sell(number % COUNT, f"l{number}")
    cluster.seconds(1)
    cluster.now_ms += 1000
    cluster.step(0)
    asked = cluster.reports[0].collect
    assert asked is not None
    cluster.pools[1].close()  # its worker is killed before it answers
    cluster.open(1)
    cluster.now_ms += COLLECT_MS
    cluster.seconds(4)
    assert len(cluster.rounds) == 1
    assert cluster.reports[0].collect is None


def test_a_challenger_is_judged_again_on_the_held_out_listings_of_all_shards(
    cluster: Cluster,
) -> None:
    for number in range(7):
        cluster.sell(number % COUNT, f"l{number}")
    cluster.seconds(4)
    undecided = ModelEventKind.CHALLENGER
    cluster.say(ModelEvent(kind=undecided, pool="default", round=1, created_ms=cluster.now_ms))
    cluster.seconds(4)
    assert len(cluster.rounds) == 1
    cluster.sell(1, held_out_id(1), filled=3)
    cluster.seconds(4)
    assert listings(cluster.rounds[1]) == {"heldout": {held_out_id(0), held_out_id(1)}}
    assert cluster.rounds[1].look == 2
    cluster.seconds(4)
    assert len(cluster.rounds) == 2
    assert cluster.conductors[0].status() == "judging round 1 again (look 2)"


def test_what_a_person_asks_for_outlives_the_collecting(cluster: Cluster) -> None:
    for number in range(4):
        cluster.sell(number % COUNT, f"l{number}")
    cluster.seconds(2)
    cluster.say(
        ModelEvent(
            kind=ModelEventKind.RETRAIN_REQUESTED,
            pool="default",
            round=0,
            created_ms=cluster.now_ms + 1,
        )
    )
    cluster.seconds(4)
    [round_] = cluster.rounds
    assert round_.trigger == "person"
    assert [file.rows for file in round_.files] == [4, 1]
    cluster.seconds(4)
    assert len(cluster.rounds) == 1


def test_all_shards_together_have_no_more_orders_out_than_one_pool_would(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, k=3, backfill_factor=2)
    for number in range(60):
        cluster.sell(number % COUNT, f"l{number}", adapter_id="old", adapter_hash="0" * 64)
    cluster.seconds(5)
    assert 0 < len(cluster.orders) <= 6
    cluster.close()


def test_a_decision_of_a_worker_that_lost_the_shard_is_void(cluster: Cluster) -> None:
    """Another host had shard 0 meanwhile: what stands unsent in the file that comes back is old."""
    for number in range(12):
        cluster.sell(number % COUNT, f"l{number}")
    for _ in range(3):
        cluster.now_ms += 1000
        for shard in range(COUNT):
            cluster.hear(shard)
            cluster.step(shard, publish=False)
    con = cluster.pools[0].con
    [kept] = outbox.pending(con, 10)  # decided here, never sent
    ours = RetrainRequest.model_validate_json(kept.payload)
    theirs = ours.model_copy(update={"files": ours.files[:1]})
    over = ModelEvent(
        kind=ModelEventKind.PROMOTED,
        pool="default",
        round=1,
        created_ms=cluster.now_ms,
        adapter_id="a1",
        adapter_hash="1" * 64,
        adapter_uri="registry/a1.safetensors",
    )
    cluster.say(theirs, over)
    cluster.hear(0)
    assert cluster.ask("FROM store.pending") == []
    assert cluster.ask("SELECT state FROM store.rounds") == [("promoted",)]
    used = {row[0] for row in cluster.ask("SELECT listing_id FROM store.used")}
    assert used == listings(theirs)[ours.files[0].role]


def test_a_promotion_that_another_worker_decided_voids_what_waits_to_be_sent(
    cluster: Cluster,
) -> None:
    con = cluster.pools[0].con
    old = ModelEvent(kind=ModelEventKind.PROMOTED, pool="default", round=0, adapter_id="old")
    outbox.add(con, "model.events", old.key(), old)
    con.execute("INSERT INTO store.pending VALUES (?)", [old.event_id])
    cluster.say(
        ModelEvent(
            kind=ModelEventKind.PROMOTED,
            pool="default",
            round=0,
            adapter_id="a1",
            adapter_hash="1" * 64,
        )
    )
    cluster.hear(0)
    assert outbox.pending(con, 10) == []
    assert cluster.ask("FROM store.pending") == []


def test_each_file_takes_the_records_of_its_own_partition() -> None:
    shards = [Shard(number, COUNT) for number in range(COUNT)]
    for partition in range(COUNT):
        [having] = [s for s in shards if s.has(("listing.reviews", partition))]
        assert having.number == partition
    assert all(shard.has(("model.events", 0)) for shard in shards)


def test_a_pool_that_was_kept_in_one_file_is_not_taken_apart_silently(tmp_path: Path) -> None:
    World(tmp_path).pool.close()
    with pytest.raises(PoolRefused, match=r"sharded = false; set it back"):
        check_layout(settings(tmp_path, sharded=True))
    check_layout(settings(tmp_path))


def test_reports_are_of_the_wire_like_every_event(cluster: Cluster) -> None:
    cluster.seconds(1)
    report = cluster.reports[1]
    assert ShardReport.model_validate_json(report.to_bytes()) == report
    assert json.loads(report.to_bytes())["read"] == {
        "training.retrain": 0,
        "model.events": 0,
        "listune.forgotten": 0,
    }
