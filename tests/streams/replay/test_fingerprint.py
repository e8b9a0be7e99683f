"""A pool's hashes: the same for the same records, another one for anything else."""

import json
from pathlib import Path

import pytest

from schemas.events import ModelEvent, ModelEventKind
from streams.pool.store import Record
from streams.replay.fingerprint import TABLES, Snapshot, take
from tests.streams.world import START_MS, World, prediction, request, review

ALL = {(f"listing.{topic}", 0): 0 for topic in ("requests", "predictions", "reviews")}
CHANGES = {
    "requests": 'payload = json_merge_patch(payload, \'{"title": "other"}\')',
    "predictions": "status = 'failed'",
    "reviews": "submitted = '{}'",
    "samples": "gap = gap + 0.25",
    "rounds": "state = 'rejected'",
}


def snapshot(world: World, starts: dict[tuple[str, int], int] | None = None) -> Snapshot:
    return take(lambda sql: world.rows(sql), starts or ALL)


def three_listings(world: World) -> list[Record]:
    asked = [request(listing) for listing in "abc"]
    answers = [prediction(one, filled) for filled, one in enumerate(asked)]
    reviews = [review(one) for one in answers]
    return [
        world.pool.record(topic, partition, offset, START_MS + offset, event)
        for (topic, partition), events in zip(ALL, (asked, answers, reviews), strict=True)
        for offset, event in enumerate(events)
    ]


def test_the_order_of_reading_does_not_show_in_a_hash(world: World, tmp_path: Path) -> None:
    records = three_listings(world)
    world.pool.apply(records)
    other = World(tmp_path / "other")
    for topic, _ in reversed(ALL):
        for record in records:
            if record.topic == topic:
                other.pool.apply([record])
    assert snapshot(world) == snapshot(other)
    assert [one.rows for one in snapshot(world).tables(()).values()] == [3, 3, 3, 3, 0]
    other.pool.close()


@pytest.mark.parametrize("table", TABLES)
def test_any_change_of_a_row_and_a_row_lost_show_in_the_hash_of_its_table(
    world: World, table: str
) -> None:
    world.sell_many(5)
    world.step()
    before = snapshot(world).tables(())
    world.pool.con.execute(f"UPDATE store.{table} SET {CHANGES[table]}")
    after = snapshot(world).tables(())
    assert {name for name in TABLES if before[name] != after[name]} == {table}
    world.pool.con.execute(f"DELETE FROM store.{table}")
    assert snapshot(world).tables(())[table].rows == 0


def test_how_json_is_written_does_not_show_in_a_hash(world: World) -> None:
    said = {"colour": ["weiß"]}
    world.pool.apply(three_listings(world))
    for table, column in (("predictions", "values"), ("reviews", "submitted")):
        hashes = set()
        for text in (json.dumps(said), json.dumps(said, ensure_ascii=False, indent=1)):
            world.pool.con.execute(f'UPDATE store.{table} SET "{column}" = $1', [text])
            hashes.add(snapshot(world).tables(())[table])
        assert len(hashes) == 1


def test_listings_with_events_before_the_window_are_left_out(world: World, tmp_path: Path) -> None:
    records = three_listings(world)
    world.pool.apply(records)
    starts = dict.fromkeys(ALL, 1)
    # A rebuild finds the late review of `a`, and not what it was a review of.
    late = review(prediction(request("a")), review_id="late")
    world.pool.apply([world.pool.record("listing.reviews", 0, 3, START_MS, late)])
    live = snapshot(world, starts)
    assert live.outside == {"a"}
    rebuilt = World(tmp_path / "rebuilt")
    rebuilt.pool.join_log({place: (1, 9) for place in ALL})
    rebuilt.pool.apply([record for record in records if record.offset > 0])
    rebuilt.pool.apply([rebuilt.pool.record("listing.reviews", 0, 3, START_MS, late)])
    found = take(lambda sql: rebuilt.rows(sql), starts, live.outside)
    assert found.tables(()) == live.tables(())
    rebuilt.pool.close()


def test_rounds_are_equal_in_whatever_mixture_the_control_topics_are_read(
    world: World, tmp_path: Path
) -> None:
    world.sell_many(4)
    world.step()
    world.train(ModelEventKind.STARTED)
    world.train(ModelEventKind.FAILED)
    world.step()
    world.train(ModelEventKind.PROPOSED, attempt=2)
    world.step()
    live = snapshot(world).rounds
    assert len(live) == 1
    for name, events in {
        "requests first": sorted(world.control, key=lambda e: isinstance(e, ModelEvent)),
        "events first": sorted(world.control, key=lambda e: not isinstance(e, ModelEvent)),
        "everything twice": [event for event in world.control for _ in range(2)],
    }.items():
        other = World(tmp_path / name)
        other.hear(*events)
        assert snapshot(other).rounds == live, name
        other.pool.close()


def test_a_round_that_is_only_decided_and_a_compacted_one_are_left_out(world: World) -> None:
    world.sell_many(4)
    world.tick()
    assert snapshot(world).rounds == {}
    world.step()
    assert snapshot(world).tables(())["rounds"].rows == 1
    assert snapshot(world).tables({1})["rounds"].rows == 0


def test_a_request_written_by_a_version_that_knew_no_seller_and_no_pictures_is_the_same(
    world: World,
) -> None:
    world.sell_many(5)
    before = snapshot(world)
    unknown = '{"seller_id": null, "tags": null, "pictures": null}'
    world.pool.con.execute(
        "UPDATE store.requests SET text_group = NULL, "
        "payload = json_merge_patch('{}', json_merge_patch(payload, $1))",
        [unknown],
    )
    [(payload,)] = world.rows("SELECT payload FROM store.requests LIMIT 1")
    assert "seller_id" not in payload
    assert snapshot(world) == before
