"""A forgotten listing leaves the pool and the rounds' files, and stays away; a record remains."""

from pathlib import Path

import duckdb
import pytest

from schemas.events import (
    ListingForgotten,
    ManifestFile,
    ModelEventKind,
    RetrainRequest,
    listing_sha256,
)
from tests.streams.world import World, prediction, request, review

K = ModelEventKind


def begin(world: World) -> RetrainRequest:
    """A round that takes l0 to l3."""
    world.sell_many(4)
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    return event


def settle(world: World) -> ListingForgotten | None:
    """Two steps: the conductor answers, then erases. The answer, if there was one."""
    said = [event for event in world.step() + world.step() if isinstance(event, ListingForgotten)]
    return said[0] if said else None


def traces(world: World, listing: str) -> list[str]:
    """The tables in which the listing's id or its words stand."""
    tables = [
        name for (name,) in world.rows("SELECT table_name FROM duckdb_tables() WHERE NOT temporary")
    ]
    return [
        table
        for table in tables
        if any(
            value == listing or f"Lamp {listing}" in str(value)
            for row in world.rows(f"FROM store.{table}")
            for value in row
        )
    ]


def listings(files: list[ManifestFile]) -> set[str]:
    return {
        listing
        for file in files
        for (listing,) in duckdb.sql(f"SELECT listing_id FROM '{file.path}'").fetchall()
    }


def record(world: World) -> list[tuple[object, ...]]:
    return world.rows("SELECT * EXCLUDE (forgotten_at) FROM main.forgotten")


def test_no_row_of_it_is_left_and_others_stay(world: World) -> None:
    world.sell("kept")
    world.sell("gone")
    assert traces(world, "gone")
    world.forget("gone")
    settle(world)
    assert traces(world, "gone") == []
    assert world.rows("SELECT listing_id FROM main.pool") == [("kept",)]


def test_what_comes_later_under_its_id_is_passed_over_even_after_a_restart(world: World) -> None:
    asked = request("gone")
    world.feed(asked)
    world.forget("gone")
    world.reopen()
    answer = prediction(asked)
    world.feed(answer, review(answer))
    world.sell("kept")
    assert traces(world, "gone") == []
    assert world.rows("SELECT listing_id FROM store.samples") == [("kept",)]


def test_an_order_to_measure_it_again_is_not_sent(world: World) -> None:
    begin(world)
    world.sell("gone")
    world.train(K.PROPOSED)
    world.step()
    [order] = world.tick()
    assert order.listing_id == "gone"
    world.forget("gone")
    assert [event for event in world.tick() if not isinstance(event, ListingForgotten)] == []
    assert traces(world, "gone") == []


def test_it_is_in_no_later_round(world: World) -> None:
    world.sell_many(5)
    world.forget("l0")
    [event] = [event for event in world.step() if isinstance(event, RetrainRequest)]
    assert listings(event.files[:1]) == {"l1", "l2", "l3", "l4"}


def test_it_goes_out_of_the_files_of_rounds_which_still_say_what_they_were(world: World) -> None:
    files = begin(world).files
    world.forget("l1")
    answer = settle(world)
    assert answer is not None
    assert (answer.rounds, answer.pool) == ([1], "default")
    assert listings(files[:1]) == {"l0", "l2", "l3"}
    [changed] = [
        file for file in files if duckdb.sql(f"FROM parquet_kv_metadata('{file.path}')").fetchall()
    ]
    noted = duckdb.sql(f"SELECT decode(value) FROM parquet_kv_metadata('{changed.path}')")
    assert noted.fetchall() == [(changed.sha256,)]
    assert world.rows("SELECT count(*) FROM store.used") == [(3,)]


def test_the_record_names_rounds_and_adapters_and_has_no_data(world: World) -> None:
    begin(world)
    world.train(K.PROPOSED)
    world.step()
    world.forget("l1")
    settle(world)
    digest = listing_sha256("l1")
    assert record(world) == [(digest, [1], ["default-r1-a1"], [], True)]
    world.hear(
        ListingForgotten(listing_sha256=listing_sha256("never seen"), created_ms=world.now_ms + 1)
    )
    settle(world)
    assert record(world)[1:] == [(listing_sha256("never seen"), [], [], [], True)]


def test_adapters_that_descend_from_one_that_learnt_it_are_named_apart(world: World) -> None:
    begin(world)
    first = world.train(K.PROPOSED)
    world.step()
    for number in range(4):
        world.sell(f"new{number}", adapter_id="default-r1-a1", adapter_hash=first)
    world.step()
    world.train(K.PROPOSED, round_=2)
    world.forget("l1")
    settle(world)
    assert record(world) == [
        (listing_sha256("l1"), [1], ["default-r1-a1"], ["default-r2-a1"], True)
    ]


def test_a_round_that_was_superseded_is_named_too(world: World) -> None:
    begin(world)
    world.say(K.PUBLISHED, adapter_id="other", adapter_hash="0" * 64)
    world.train(K.PROPOSED)
    world.say(K.PROMOTION_REQUESTED, adapter_id="other")
    world.step()
    world.step()
    assert world.rows("SELECT state FROM store.rounds") == [("superseded",)]
    world.forget("l1")
    answer = settle(world)
    assert answer is not None
    assert answer.rounds == [1]


def test_asked_for_twice_it_was_forgotten_the_first_time(world: World) -> None:
    begin(world)
    world.forget("l1")
    assert settle(world) is not None
    before = world.rows("FROM main.forgotten")
    world.now_ms += 5
    world.forget("l1")
    assert settle(world) is None
    assert world.rows("FROM main.forgotten") == before


def test_another_pools_answer_is_not_this_ones(world: World) -> None:
    begin(world)
    said = {"listing_sha256": listing_sha256("l1"), "created_ms": world.now_ms, "pool": "other"}
    world.hear(ListingForgotten.model_validate(said | {"rounds": [7]}))
    answer = settle(world)
    assert answer is not None
    assert answer.rounds == [1]


@pytest.mark.parametrize("settled", [False, True])
def test_a_pool_rebuilt_from_the_topics_forgets_it_too(
    world: World, tmp_path: Path, settled: bool
) -> None:
    begin(world)
    world.train(K.PROPOSED)
    world.step()
    world.forget("l1")
    if settled:
        settle(world)
    again = World(tmp_path / "again")
    again.sell_many(4)
    again.hear(*world.control)
    again.step()
    settle(again)
    settle(world)
    assert traces(again, "l1") == []
    assert record(again) == record(world)
    assert record(again)[0][1:] == ([1], ["default-r1-a1"], [], True)
    again.pool.close()


def test_a_crash_between_answer_and_erasure_leaves_nothing_undone(world: World) -> None:
    files = begin(world).files
    world.forget("l1")
    world.step()
    assert "l1" in listings(files)
    world.reopen()
    world.step()
    assert "l1" not in listings(files)
    assert record(world) == [(listing_sha256("l1"), [1], [], [], True)]
