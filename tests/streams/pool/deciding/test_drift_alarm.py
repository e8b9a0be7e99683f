"""What the conductor does when sellers accept less of the champion's values than they did."""

from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schemas.events import ModelEvent, ModelEventKind, Purpose, RetrainRequest
from streams.pool import outbox
from streams.pool.store import Record
from tests.streams.world import SUBMITTED, World, prediction, promoted, request, review

K = ModelEventKind
pytestmark = pytest.mark.slow
HOUR_MS = 3_600_000
LOOK_MS = 300_000
CHANGED = {**SUBMITTED, "Colour": ["blue"], "Height": ["9 cm"]}


def world_of(folder: Path, action: str = "round", **changes: Any) -> World:
    by_default = {"held_out": 0 if action == "none" else 1, "k": 400}
    drift = {"action": action, "reference_sellers": 20} | changes.pop("drift", {})
    return World(folder, **by_default | changes, drift=drift)


def reviewed(world: World, prefix: str, count: int, taken: float, **answer: Any) -> None:
    """`count` sellers, ten an hour, of whom the share `taken` takes both suggestions unchanged."""
    records: list[Record] = []
    for number in range(count):
        if number % 10 == 0:
            world.now_ms += HOUR_MS
        asked = request(f"{prefix}{number}", seller_id=f"seller-{prefix}{number}")
        given = prediction(asked, filled=2, **answer)
        submitted = SUBMITTED if (number % 10) < 10 * taken else CHANGED
        records += map(world.record, (asked, given, review(given, submitted=submitted)))
    world.fed += records
    world.pool.apply(records)


def adapter_of(world: World) -> dict[str, str]:
    live = world.conductor.champion()
    return {"adapter_id": live.id, "adapter_hash": live.hash}


def fallen(folder: Path, action: str, **changes: Any) -> World:
    """A first adapter is champion; after a good time its acceptance fell."""
    world = world_of(folder, action, k=4, max_rounds=1, **changes)
    promoted(world)
    reviewed(world, "good", 60, 0.9, **adapter_of(world))
    world.step()
    reviewed(world, "bad", 60, 0.3, **adapter_of(world))
    world.now_ms += LOOK_MS
    return world


def test_a_fall_of_acceptance_begins_a_round_whose_trigger_is_drift(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    reviewed(world, "good", 60, 0.9)
    assert world.step() == []
    reviewed(world, "bad", 60, 0.3)
    world.now_ms += LOOK_MS
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert event.trigger == "drift"
    assert world.rows('SELECT "trigger" FROM rounds') == [("drift",)]
    world.pool.close()


def test_an_alarm_that_a_round_answered_to_begins_no_second_one_before_it_is_raised_anew(
    tmp_path: Path,
) -> None:
    world = world_of(tmp_path)
    reviewed(world, "good", 60, 0.9)
    reviewed(world, "bad", 60, 0.3)
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    world.now_ms += 1
    world.train(K.REJECTED)
    world.reopen()
    world.now_ms += LOOK_MS
    assert world.step() == []
    reviewed(world, "worse", 60, 0.3)
    world.now_ms += LOOK_MS
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert (event.trigger, event.round) == ("drift", 2)
    world.pool.close()


def test_acceptance_that_stays_begins_nothing_and_says_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    reviewed(world, "good", 390, 0.9)
    assert world.step() == []
    assert "drift" not in world.conductor.status()
    world.pool.close()


def test_the_alarm_alone_is_only_shown(tmp_path: Path) -> None:
    world = world_of(tmp_path, action="none")
    reviewed(world, "good", 60, 0.9)
    reviewed(world, "bad", 60, 0.3)
    assert world.step() == []
    assert "drift alarm: acceptance 0.30 of 100, reference 0.90" in world.conductor.status()
    [(remark,)] = world.rows("SELECT remark FROM drift WHERE signal = 'acceptance'")
    assert remark.endswith("drift alarm: acceptance 0.30 of 100, reference 0.90")
    assert (REGISTRY.get_sample_value("listune_drift_wealth") or 0) >= 1
    world.pool.close()


def test_the_alarm_moves_the_alias_back_to_the_parent_once(tmp_path: Path) -> None:
    world = fallen(tmp_path, "rollback")
    champion = world.conductor.champion()
    [event] = world.step()
    assert isinstance(event, ModelEvent)
    assert (event.kind, event.adapter_id, event.worker) == (K.ROLLED_BACK, "base", "conductor")
    assert event.reason == "drift alarm: acceptance 0.30 of 100, reference 0.90"
    assert event.details["from_id"] == champion.id
    assert world.conductor.champion().id == "base"
    reviewed(world, "stillgood", 60, 0.9)
    reviewed(world, "stillbad", 60, 0.3)
    world.now_ms += LOOK_MS
    assert [e for e in world.step() if isinstance(e, ModelEvent)] == []
    assert "drift alarm" in world.conductor.status()
    world.pool.close()


def test_a_crash_after_the_decision_neither_loses_nor_doubles_it(tmp_path: Path) -> None:
    world = fallen(tmp_path, "rollback")
    [decided] = world.tick()
    world.reopen()
    assert world.tick() == [decided]
    world.hear(decided)
    outbox.done(world.pool.con, [row.id for row in outbox.pending(world.pool.con, 10)])
    world.now_ms += LOOK_MS
    assert world.tick() == []
    assert world.conductor.champion().id == "base"
    world.pool.close()


@pytest.mark.parametrize("compacted", [False, True])
def test_a_rebuilt_pool_does_not_roll_back_again(tmp_path: Path, compacted: bool) -> None:
    world = fallen(tmp_path / "first", "rollback")
    world.step()
    log, records = world.control, world.fed
    if compacted:
        kept = {e.key() if isinstance(e, ModelEvent) else id(e): e for e in log}
        log = [e for e in log if e in kept.values()]
        assert len(log) < len(world.control)
    again = world_of(tmp_path / "second", "rollback", held_out=0, k=4, max_rounds=1)
    again.now_ms = world.now_ms + LOOK_MS
    again.hear(*log)
    again.pool.apply(records)
    assert [e for e in again.step() if isinstance(e, ModelEvent)] == []
    assert again.conductor.champion().id == "base"
    world.pool.close()
    again.pool.close()


def test_what_a_person_rolled_back_is_not_promoted_again_by_a_rebuild_from_a_compacted_log(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "first", max_rounds=1)
    promoted(world)
    world.say(K.ROLLBACK_REQUESTED)
    world.step()
    assert world.conductor.champion().id == "base"
    kept = {e.key() if isinstance(e, ModelEvent) else id(e): e for e in world.control}
    again = World(tmp_path / "second", held_out=0, max_rounds=1)
    again.now_ms = world.now_ms + LOOK_MS
    again.hear(*[e for e in world.control if e in kept.values()])
    again.pool.apply(world.fed)
    assert [e for e in again.step() if isinstance(e, ModelEvent)] == []
    assert again.conductor.champion().id == "base"
    assert again.rows("SELECT state FROM rounds") == [("promoted",)]
    world.pool.close()
    again.pool.close()


def test_a_champion_without_a_parent_that_is_known_stays(tmp_path: Path) -> None:
    world = world_of(tmp_path, action="rollback")
    reviewed(world, "good", 60, 0.9)
    reviewed(world, "bad", 60, 0.3)
    assert [e for e in world.step() if isinstance(e, ModelEvent)] == []
    assert world.conductor.champion().id == "base"
    world.pool.close()


def test_no_alarm_acts_during_a_replay(tmp_path: Path) -> None:
    world = fallen(tmp_path, "rollback")
    assert world.tick(caught_up=False) == []
    world.pool.close()


def test_one_seller_counts_once_in_a_window(tmp_path: Path) -> None:
    """A seller with a hundred bad reviews in a day is one observation."""
    world = world_of(tmp_path, action="none")
    reviewed(world, "good", 60, 0.9)
    records: list[Record] = []
    for number in range(100):
        asked = request(f"many{number}", seller_id="one")
        given = prediction(asked, filled=2)
        records += map(world.record, (asked, given, review(given, submitted=CHANGED)))
    world.pool.apply(records)
    world.step()
    assert "drift alarm" not in world.conductor.status()
    world.pool.close()


def test_answers_of_another_adapter_or_measured_again_do_not_count(tmp_path: Path) -> None:
    world = world_of(tmp_path, action="none")
    reviewed(world, "good", 60, 0.9)
    reviewed(world, "canary", 60, 0.0, adapter_id="other", adapter_hash="0" * 64,
             arms={"canary:other": "canary"})  # fmt: skip
    reviewed(world, "again", 60, 0.0, purpose=Purpose.BACKFILL)
    world.step()
    assert "drift alarm" not in world.conductor.status()
    world.pool.close()


def test_a_reference_may_be_given(tmp_path: Path) -> None:
    world = world_of(tmp_path, action="none", drift={"reference": 0.8})
    reviewed(world, "bad", 100, 0.3)
    world.step()
    assert "drift alarm: acceptance 0.30 of 100, reference 0.80" in world.conductor.status()
    world.pool.close()
