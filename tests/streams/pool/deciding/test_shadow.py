"""An adapter on trial answers copies of live requests, for nobody to see."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from schemas.events import ListingRequest, ModelEventKind, Purpose, Status
from schemas.experiment import Arm, Experiment
from streams.pool.deciding import backfill, shadow
from tests.streams.world import World, held_out_id, prediction, request, review

K = ModelEventKind
SHOWN = {"Colour": ["red"], "Height": ["40 cm"]}


def world_with(folder: Path, share: float = 1.0, **changes: Any) -> World:
    return World(folder, shadow_share=share, backfill_factor=0, **changes)


def with_challenger(folder: Path, share: float = 1.0, **changes: Any) -> tuple[World, str]:
    """A world with a challenger that waits, and its hash; its round took four listings."""
    world = world_with(folder, share, **changes)
    world.sell_many(4, "first")
    world.step()
    adapter = world.train(K.CHALLENGER)
    return world, adapter


def orders(world: World) -> Sequence[ListingRequest]:
    """The shadow orders of the next look."""
    world.now_ms += 1_000
    asked = [event for event in world.step() if isinstance(event, ListingRequest)]
    assert all(order.purpose is Purpose.SHADOW for order in asked)
    return asked


def answer(world: World, asked: Sequence[ListingRequest], **changes: Any) -> None:
    for order in asked:
        world.feed(prediction(order, adapter_hash=order.adapter_hash or "", **changes))


def test_a_waiting_challenger_is_asked_for_reviewed_live_listings(tmp_path: Path) -> None:
    world, adapter = with_challenger(tmp_path)
    found = orders(world)
    assert {order.adapter_hash for order in found} == {adapter}
    assert len(found) == world.settings.shadow_most == 4
    live = request(found[0].listing_id)
    assert (found[0].title, found[0].input_hash()) == (live.title, live.input_hash())


def test_no_more_are_out_at_a_time_and_each_text_is_asked_once(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path, shadow_most=2)
    asked: list[ListingRequest] = []
    for _ in range(6):
        found = orders(world)
        asked += found
        assert orders(world) == []  # none is answered yet
        answer(world, found)
    listings = [order.listing_id for order in asked]
    assert sorted(listings) == sorted({"first0", "first1", "first2", "first3", held_out_id(0)})
    assert len({order.request_id for order in asked}) == len(asked)


def test_one_whose_answer_failed_is_not_asked_again(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path, shadow_most=5)
    answer(world, orders(world), status=Status.FAILED)
    assert orders(world) == []


def test_the_share_says_of_how_many_listings(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path, share=0.3, shadow_most=1000)
    for number in range(100):
        world.sell(f"l{number}", filled=4)
    assert 15 < len(orders(world)) < 45


def test_off_by_default_and_without_an_adapter_on_trial_nothing_is_ordered(
    tmp_path: Path,
) -> None:
    off, _ = with_challenger(tmp_path / "off", share=0.0)
    assert orders(off) == []
    nobody = world_with(tmp_path / "nobody")
    nobody.sell_many(4)
    nobody.step()
    assert orders(nobody) == []


def test_the_adapter_of_a_canary_is_asked_too(tmp_path: Path) -> None:
    world = world_with(tmp_path)
    world.sell_many(2)
    tried = Arm(name="canary", answers="adapter:a2", adapter_id="a2", adapter_hash="h2")
    arms = (Arm(name="parent", answers="champion"), tried)
    canary = Experiment(name="canary:a2", arms=arms).grown({"parent": 0.9, "canary": 0.1})
    world.say(K.EXPERIMENT_STARTED, experiment=canary)
    assert {order.adapter_hash for order in orders(world)} == {"h2"}
    world.say(K.EXPERIMENT_ENDED, experiment=canary)
    assert shadow.on_trial(world.pool.con) == []


def test_none_is_sent_while_others_wait(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path)
    waiting = [request(f"w{number}") for number in range(world.settings.in_flight + 1)]
    world.feed(*waiting)
    assert orders(world) == []
    world.feed(prediction(waiting[0]))
    assert len(orders(world)) == 4


def test_none_is_sent_behind_a_lag_or_during_a_replay(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path)
    world.now_ms += 1_000
    assert world.tick(caught_up=False) == []
    assert world.tick(lag=world.settings.small_lag + 1) == []


def test_none_is_sent_while_a_listing_is_measured_again(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path)
    live = request("first0")
    backfill.send(world.pool.con, live, world.schemas["Lamps"], "base", world.now_ms)
    world.now_ms += 1_000
    events = [event for event in world.tick() if isinstance(event, ListingRequest)]
    assert [event.purpose for event in events] == [Purpose.BACKFILL]


def test_they_do_not_count_as_orders_to_measure_again(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path)
    assert orders(world)
    assert backfill.outstanding(world.pool.con, world.now_ms) == 0
    assert world.rows("SELECT orders_outstanding FROM status") == [(0,)]


def test_an_order_names_another_request_than_a_backfills(tmp_path: Path) -> None:
    world, adapter = with_challenger(tmp_path)
    [first, *_] = orders(world)
    live = request(first.listing_id)
    backfill.send(world.pool.con, live, world.schemas["Lamps"], adapter, world.now_ms)
    [again] = [e for e in world.tick() if isinstance(e, ListingRequest)]
    assert again.request_id != first.request_id


# --------------------------------------------------------------------------------------- the view


def test_the_view_compares_it_with_the_champion_on_the_same_listings(tmp_path: Path) -> None:
    """Submitted: red, 30 cm, yes, loft. The champion suggested red and 40 cm."""
    world, adapter = with_challenger(tmp_path, shadow_most=100)
    answer(world, orders(world), status=Status.EXPIRED)
    for number in range(2):
        asked = request(f"l{number}")
        live = prediction(asked, values=SHOWN)
        world.feed(asked, live, review(live))
    asked_again = orders(world)
    assert [order.listing_id for order in asked_again] == ["l0", "l1"]
    same, other = asked_again
    answer(world, [same], values=SHOWN, adapter_id="two")
    better = {"Colour": ["red"], "Height": ["30 cm"], "Dimmable": ["yes"]}
    answer(world, [other], values=better, adapter_id="two")
    columns = "adapter_id, adapter_hash, listings, attributes, agreement, both_blank"
    # Of 5 attributes that either filled 3 are equal; 2 + 1 of 8 are blank in both.
    assert world.rows(f"SELECT {columns} FROM shadow") == [
        ("two", adapter, 2, 8, pytest.approx(3 / 5), 3 / 8)
    ]
    figures = "suggested, acceptance, champion_suggested, champion_acceptance"
    assert world.rows(f"SELECT {figures} FROM shadow") == [(5, 4 / 5, 4, 2 / 4)]


def test_its_answers_count_in_no_acceptance_and_for_no_round(tmp_path: Path) -> None:
    world, _ = with_challenger(tmp_path)
    before = world.rows("FROM acceptance_by_day"), world.rows("FROM attribute_edits")
    fresh = world.rows("SELECT count(*) FROM samples WHERE fresh")
    answer(world, orders(world), filled=1)
    assert (world.rows("FROM acceptance_by_day"), world.rows("FROM attribute_edits")) == before
    assert world.rows("SELECT count(*) FROM samples WHERE fresh") == fresh


def test_a_file_from_before_has_orders_to_measure_again_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    con = world.pool.con
    con.execute("ALTER TABLE store.backfill_orders DROP COLUMN purpose")
    con.execute(
        "INSERT INTO store.backfill_orders (request_id, created_ms) VALUES ('q', ?)", [world.now_ms]
    )
    world.reopen()
    assert backfill.outstanding(world.pool.con, world.now_ms) == 1
