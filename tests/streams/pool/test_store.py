"""The pool's promise: rows and offsets together, and the same samples whatever the order."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from schemas.events import Purpose, RetrainRequest, Status
from streams.pool import store
from streams.pool.errors import OffsetGap, PoolError, PoolRefused
from streams.pool.store import Pool, Record, hole
from tests.streams.world import (
    DAY_MS,
    SCHEMAS,
    START_MS,
    SUBMITTED,
    TOPIC_IDS,
    World,
    prediction,
    request,
    review,
    settings,
)

ENDLESS_WORKER = """
import itertools, pathlib, sys
from tests.streams.world import World
world = World(pathlib.Path(sys.argv[1]))
for number in itertools.count():
    world.sell(f"l{number}")
    world.tick()
    print(number, flush=True)
"""
ALL_SAMPLES = "FROM store.samples ORDER BY ALL"


def test_a_sample_holds_both_completenesses_their_gap_and_the_deficit(world: World) -> None:
    answer = world.sell("a", filled=1)
    assert world.rows(
        "SELECT listing_id, adapter_hash, c_model, c_catalog, gap, deficit, prediction_id "
        "FROM store.samples"
    ) == [("a", "base", 0.25, 1.0, 0.75, 0.75, answer.prediction_id)]


@pytest.mark.slow
@hypothesis_settings(max_examples=15, deadline=None)
@given(st.data())
def test_any_order_with_duplicates_gives_the_same_samples(data: st.DataObject) -> None:
    asked = request("a")
    first = prediction(asked, 1)
    again = request("a", request_id="q2", purpose=Purpose.BACKFILL)
    other = prediction(again, 2, adapter_hash="f00", adapter_id="x")
    failed = prediction(request("a", request_id="q3"), status=Status.FAILED, adapter_hash="bad")
    early = review(first, submitted={"Colour": ["blue"]}, review_id="early")
    late = review(first)
    # Within a topic the log has one order; between topics, and across batches, anything goes.
    streams: list[list[Any]] = [
        [asked, asked],
        [first, first, other, failed, other],
        [early, late, early],
    ]
    queue = data.draw(st.permutations([i for i, events in enumerate(streams) for _ in events]))
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        heads = [iter(events) for events in streams]
        batch = []
        for index in queue:
            batch.append(world.record(next(heads[index])))
            if data.draw(st.booleans()):
                world.pool.apply(batch)
                batch = []
        world.pool.apply(batch)
        samples = world.rows(
            "SELECT adapter_hash, deficit, review_id, prediction_id FROM store.samples ORDER BY 1"
        )
        world.pool.close()
    assert samples == [
        ("base", 0.75, late.review_id, first.prediction_id),
        ("f00", 0.5, late.review_id, other.prediction_id),
    ]


def test_a_replay_from_the_beginning_changes_nothing(world: World) -> None:
    asked = request("a")
    answer = prediction(asked)
    log = [world.record(event) for event in (asked, answer, review(answer))]
    world.pool.apply(log)
    before = world.rows(ALL_SAMPLES)
    world.reopen()
    world.pool.apply(log)
    world.pool.apply([*log, world.record(request("b"))])
    assert world.rows(ALL_SAMPLES) == before
    assert world.pool.watermark("listing.requests", 0) == 2


def test_an_offset_gap_raises_and_writes_nothing(world: World) -> None:
    good = world.pool.record("listing.requests", 0, 0, START_MS, request("a"))
    beyond = world.pool.record("listing.requests", 0, 2, START_MS, request("b"))
    with pytest.raises(OffsetGap) as caught:
        world.pool.apply([good, beyond])
    assert (caught.value.expected, caught.value.got) == (1, 2)
    assert world.rows("FROM store.requests") == []
    assert world.pool.watermark("listing.requests", 0) == 0


def test_a_record_behind_a_hole_of_the_log_is_next_and_the_hole_at_its_end_is_passed(
    world: World,
) -> None:
    place = ("listing.requests", 0)
    first = world.pool.record(*place, 0, START_MS, request("a"))
    second = replace(world.pool.record(*place, 3, START_MS, request("b")), since=1)
    world.pool.apply([first, second, hole(*place, 4, 6)])
    assert world.rows("SELECT listing_id FROM store.requests ORDER BY ALL") == [("a",), ("b",)]
    assert world.pool.watermark(*place) == 6


def test_a_record_behind_a_hole_and_behind_a_missing_record_is_a_gap(world: World) -> None:
    beyond = replace(world.pool.record("listing.requests", 0, 3, START_MS, request("b")), since=2)
    with pytest.raises(OffsetGap):
        world.pool.apply([beyond])


def test_records_that_retention_deleted_are_passed_over_on_purpose_only(world: World) -> None:
    world.pool.start_at("listing.requests", 0, 7)
    world.pool.apply([world.pool.record("listing.requests", 0, 7, START_MS, request("a"))])
    assert world.pool.watermark("listing.requests", 0) == 8
    assert world.rows("SELECT listing_id FROM store.requests") == [("a",)]


def test_a_record_without_row_only_advances_the_watermark(world: World) -> None:
    world.pool.apply([Record("listing.reviews", 3, 0, START_MS, None)])
    assert world.pool.watermark("listing.reviews", 3) == 1


def test_a_batch_that_fails_leaves_rows_and_offsets_as_they_were(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr("streams.pool.store.recompute", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            world.pool.apply([world.pool.record("listing.requests", 0, 0, START_MS, request("a"))])
    assert world.rows("FROM store.requests") == []
    assert world.pool.watermark("listing.requests", 0) == 0


def test_one_record_that_cannot_be_stored_is_refused_and_the_rest_of_its_batch_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = store.insert

    def picky(con: Any, table: str, rows: Any) -> None:
        if any(row.get("listing_id") == "c" for row in rows):
            raise duckdb.InvalidInputException("not this one")
        insert(con, table, rows)

    monkeypatch.setattr(store, "insert", picky)
    refused: list[tuple[Any, str]] = []
    world.pool.apply_storable(
        [world.record(request(listing)) for listing in "abcde"],
        lambda record, fault: refused.append((record.offset, fault.reason)),
    )
    assert refused == [(2, "not_storable")]
    assert world.rows(
        "SELECT string_agg(listing_id, '' ORDER BY listing_id) FROM store.requests"
    ) == [("abde",)]
    assert world.pool.watermark("listing.requests", 0) == 5


def test_of_one_identity_in_two_partitions_the_first_in_the_log_stays(tmp_path: Path) -> None:
    """Whichever is read first, in one micro-batch or in two."""
    for number, batches in enumerate(([[3, 2]], [[2, 3]], [[3], [2]], [[2], [3]])):
        world = World(tmp_path / str(number))
        for batch in batches:
            events = [
                world.pool.record("listing.requests", p, 0, START_MS, request("a")) for p in batch
            ]
            world.pool.apply(events)
        assert world.rows("SELECT partition FROM store.requests") == [(2,)]
        world.pool.close()


def test_the_first_prediction_in_the_log_is_the_canonical_one(world: World) -> None:
    asked = request("a")
    world.feed(asked, prediction(asked, 0, status=Status.EXPIRED))
    late = prediction(asked, 2, prediction_id="late")
    world.feed(late, review(late))
    assert world.rows("SELECT status FROM store.predictions") == [("expired",)]
    assert world.rows(ALL_SAMPLES) == []


def test_acceptance_counts_shown_values_of_live_reviews_only(world: World) -> None:
    answer = world.sell("a", filled=2)
    edited = prediction(request("b"), 3)
    world.feed(
        request("b"),
        edited,
        review(edited, submitted={**SUBMITTED, "Colour": ["blue"], "Height": ["30 CM"]}),
        review(answer, review_id="second look", submitted={"Colour": ["red"]}),
    )
    order = request("a", request_id="order", purpose=Purpose.BACKFILL)
    measured = prediction(order, 4)
    world.feed(measured, review(measured, review_id="odd"))
    rows = world.rows(
        "SELECT adapter_id, reviews, shown, accepted, acceptance FROM acceptance_by_day"
    )
    # a: the last review keeps one of two; b: Height is the same value in other letters.
    assert rows == [("base", 2, 5, 3, 0.6)]


def test_another_cluster_is_refused_with_what_to_do(tmp_path: Path) -> None:
    Pool(settings(tmp_path), SCHEMAS, "cluster", TOPIC_IDS).close()
    with pytest.raises(PoolError, match="belongs to Kafka cluster cluster, not to other"):
        Pool(settings(tmp_path), SCHEMAS, "other", TOPIC_IDS)
    with pytest.raises(PoolError, match=r"listing\.requests was deleted and made again"):
        Pool(settings(tmp_path), SCHEMAS, "cluster", {"listing.requests": "r2"})


def test_a_pool_of_another_version_is_refused(world: World) -> None:
    world.pool.con.execute("UPDATE store.meta SET value = '0' WHERE name = 'format'")
    world.pool.close()
    with pytest.raises(PoolError, match="another version of Listune"):
        world.open()


def test_a_pool_from_before_edits_were_measured_gets_them_when_it_is_opened(world: World) -> None:
    world.sell("a", filled=1)
    world.pool.con.execute("ALTER TABLE store.samples DROP COLUMN edits")
    world.pool.con.execute("DELETE FROM store.meta WHERE name = 'measures'")
    world.reopen()
    assert world.pool.remeasure() == 0
    assert world.rows("SELECT deficit, edits FROM samples") == [(0.75, 0.75)]


@pytest.mark.slow
def test_a_killed_worker_leaves_rows_and_offsets_that_agree(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", ENDLESS_WORKER, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert worker.stdout is not None
    with worker.stdout:
        for _ in range(20):
            worker.stdout.readline()
    worker.kill()
    worker.wait()
    world = World(tmp_path)
    for table in ("requests", "predictions", "reviews"):
        assert world.rows(f"SELECT count(*) FROM store.{table}") == [
            (world.pool.watermark(f"listing.{table}", 0),)
        ]
    assert world.pool.watermark("listing.requests", 0) >= 20
    assert world.rows("SELECT count(*) FROM store.outbox") == [(1,)]  # decided once
    assert isinstance(world.tick()[0], RetrainRequest)
    world.pool.close()


def test_text_comes_through_unharmed(world: World) -> None:
    odd = 'Zoë "quoted" \\ back\x00slash\n\U0001f986 \u2028'
    asked = request("a", title=odd)
    answer = prediction(asked)
    world.feed(asked, answer, review(answer, submitted={"Style": [odd.replace("\n", " ")]}))
    assert world.rows("SELECT title FROM samples") == [(odd,)]


def test_a_sample_of_an_order_takes_the_text_of_the_live_request(world: World) -> None:
    world.sell("a")
    order = request("a", request_id="sha", purpose=Purpose.BACKFILL, adapter_hash="f00")
    world.feed(prediction(order, 2, adapter_hash="f00"))
    assert world.rows("SELECT request_id FROM store.samples WHERE adapter_hash = 'f00'") == [
        ("q-a",)
    ]


def test_timestamps_are_those_of_the_records(world: World) -> None:
    asked = request("a")
    answer = prediction(asked)
    world.pool.apply(
        [
            world.record(asked, START_MS),
            world.record(review(answer), START_MS + DAY_MS),
            world.record(answer, START_MS + 5),
        ]
    )
    assert world.rows("SELECT timestamp_ms FROM store.samples") == [(START_MS + DAY_MS,)]


def test_a_pool_in_several_files_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "default-0.duckdb").touch()
    with pytest.raises(PoolRefused, match=r"move default-\*\.duckdb away, so that the pool is"):
        World(tmp_path)


def test_a_pool_of_a_version_that_could_keep_several_files_still_opens(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.sell("a")
    world.pool.con.execute("INSERT INTO store.meta VALUES ('topic:pool.control', 'p1')")
    world.reopen()
    assert world.rows("SELECT listing_id FROM store.samples") == [("a",)]
    world.pool.close()
