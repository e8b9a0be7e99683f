"""When a round is due beside k fresh listings, what holds it back, and what the status says."""

from pathlib import Path
from typing import Any

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from tests.streams.world import SUBMITTED, World, begun, prediction, request, review

K = ModelEventKind
HOUR_MS = 3_600_000


def world_of(folder: Path, **changes: Any) -> World:
    return World(folder, **{"k": 20, **changes})


def accept(world: World, prefix: str, count: int, taken: bool) -> None:
    """`count` listings whose two suggested values sellers take as they are, or change both."""
    for number in range(count):
        asked = request(f"{prefix}{number}")
        answer = prediction(asked, filled=2)
        submitted = SUBMITTED if taken else {**SUBMITTED, "Colour": ["blue"], "Height": ["9 cm"]}
        world.now_ms += 1
        world.feed(asked, answer, review(answer, submitted=submitted))


def test_a_scheduled_round_begins_so_long_after_the_last_one_began(tmp_path: Path) -> None:
    world = world_of(tmp_path, retrain_every_hours=2.0, k=5)
    world.sell_many(5)
    assert begun(world).trigger == "count"
    world.train(K.REJECTED)
    world.sell_many(3, "m")
    world.now_ms += HOUR_MS
    assert world.step() == []
    assert world.conductor.status() == "starved 3/5 · scheduled in 60 min"
    world.now_ms += HOUR_MS
    event = begun(world)
    assert (event.trigger, event.round, event.k) == ("schedule", 2, 3)
    world.pool.close()


def test_the_first_scheduled_round_counts_from_the_oldest_sample(tmp_path: Path) -> None:
    world = world_of(tmp_path, retrain_every_hours=1.0)
    world.step()  # one that judges is no beginning
    world.now_ms += 10 * HOUR_MS
    assert world.step() == []
    assert world.conductor.status() == "starved 0/20"
    world.sell_many(10)
    world.step()
    assert world.conductor.status() == "collecting 10/20 · scheduled in 60 min"
    world.now_ms += HOUR_MS
    event = begun(world)
    assert (event.trigger, event.k) == ("schedule", 10)
    world.pool.close()


def test_a_round_that_begins_early_takes_no_fewer_than_a_tenth(tmp_path: Path) -> None:
    world = world_of(tmp_path, retrain_every_hours=1.0)
    world.sell("a")
    world.now_ms += HOUR_MS
    assert world.step() == []
    assert world.conductor.status() == "starved 1/20 · a round is scheduled, a round waits for 2"
    world.sell("b")
    assert begun(world).trigger == "schedule"
    world.pool.close()


def test_a_drop_of_live_acceptance_begins_a_round(tmp_path: Path) -> None:
    world = world_of(tmp_path, acceptance_drop=0.5, acceptance_window=4, held_out=0)
    world.hold_out(1)  # taken as it is, too
    accept(world, "first", 3, taken=True)
    accept(world, "bad", 3, taken=False)
    assert world.step() == []
    assert world.conductor.status() == "collecting 6/20"
    accept(world, "last", 1, taken=True)
    world.now_ms += 10_000
    assert begun(world).trigger == "acceptance"
    assert world.rows('SELECT "trigger" FROM rounds') == [("acceptance",)]
    world.pool.close()


def test_a_drop_that_a_round_answered_to_is_not_answered_to_again(tmp_path: Path) -> None:
    world = world_of(tmp_path, acceptance_drop=0.5, acceptance_window=4)
    accept(world, "first", 4, taken=True)
    accept(world, "bad", 4, taken=False)
    begun(world)
    world.train(K.REJECTED)
    accept(world, "more", 3, taken=False)
    world.now_ms += 10_000
    assert world.step() == []
    accept(world, "still", 1, taken=False)
    world.now_ms += 10_000
    assert begun(world).trigger == "acceptance"
    world.pool.close()


def test_acceptance_that_stays_or_rises_begins_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path, acceptance_drop=0.1, acceptance_window=4)
    accept(world, "first", 4, taken=False)
    accept(world, "later", 5, taken=True)
    assert world.step() == []
    world.pool.close()


def test_no_round_begins_within_the_cool_down(tmp_path: Path) -> None:
    world = World(tmp_path, cool_down_s=60.0)
    world.sell_many(4)
    begun(world)
    world.train(K.REJECTED)
    world.sell_many(4, "m")
    world.now_ms += 21_000
    assert world.step() == []
    assert world.conductor.status() == "collecting 4/4 · cool-down 40 s"
    world.now_ms += 39_000
    assert begun(world).trigger == "count"
    world.pool.close()


def test_a_round_that_a_person_asks_for_passes_the_cool_down(tmp_path: Path) -> None:
    world = World(tmp_path, cool_down_s=60.0)
    world.sell_many(4)
    begun(world)
    world.train(K.REJECTED)
    world.sell_many(2, "m")
    world.now_ms += 1
    world.say(K.RETRAIN_REQUESTED)
    assert begun(world).trigger == "person"
    world.pool.close()


def test_the_next_attempt_at_a_round_waits_for_no_cool_down(tmp_path: Path) -> None:
    world = World(tmp_path, cool_down_s=60.0)
    world.sell_many(4)
    begun(world)
    world.train(K.FAILED)
    assert begun(world).attempt == 2
    world.pool.close()


def test_a_paused_trigger_stays_paused_whatever_the_schedule_says(tmp_path: Path) -> None:
    world = World(tmp_path, retrain_every_hours=1.0, pause_after=1)
    world.sell_many(4)
    begun(world)
    world.train(K.REJECTED)
    world.sell_many(3, "m")
    world.now_ms += 2 * HOUR_MS
    assert world.step() == []
    assert world.conductor.status() == "paused: 1 rounds without promotion"
    world.pool.close()


def test_a_promotion_in_between_starts_the_count_to_the_pause_anew(tmp_path: Path) -> None:
    world = World(tmp_path, pause_after=2)
    live = "base"
    for number, outcome in enumerate((K.REJECTED, K.PROPOSED, K.REJECTED), start=1):
        world.now_ms += 1
        world.sell_many(4, f"r{number}", adapter_hash=live)
        begun(world)
        live = world.train(outcome, round_=number)
        if outcome is K.PROPOSED:
            [event] = world.step()
            assert isinstance(event, ModelEvent)
            assert event.kind is K.PROMOTED
        else:
            live = world.conductor.champion().hash
    world.sell_many(4, "more", adapter_hash=live)
    assert begun(world).round == 4
    world.pool.close()


def test_a_pause_outlives_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path, pause_after=1)
    world.sell_many(4)
    begun(world)
    world.train(K.REJECTED)
    world.reopen()
    world.sell_many(4, "m")
    assert world.step() == []
    assert world.conductor.status() == "paused: 1 rounds without promotion"
    world.pool.close()


def test_a_proposal_of_a_quarantined_round_changes_nothing(world: World) -> None:
    world.sell_many(4)
    begun(world)
    world.train(K.FAILED)
    begun(world)
    world.train(K.FAILED, attempt=2)
    world.train(K.PROPOSED, attempt=2)
    assert world.step() == []
    assert world.rows("SELECT state FROM rounds") == [("quarantined",)]
    assert world.conductor.champion().hash == "base"


def test_too_few_candidates_show_as_starved_once_nothing_comes_any_more(world: World) -> None:
    world.sell_many(3)
    world.step()
    assert world.conductor.status() == "collecting 3/4"
    world.now_ms += 301_000
    world.step()
    assert world.conductor.status() == "starved 3/4"


def test_the_status_says_that_records_are_to_be_read_first(world: World) -> None:
    world.sell_many(4)
    assert world.tick(lag=1001) == []
    assert world.conductor.status() == "collecting 4/4 · 1001 records to read first"


def test_an_older_event_without_a_reason_reads_as_begun_by_count(world: World) -> None:
    world.sell_many(4)
    event = begun(world)
    older = event.model_dump_json(exclude={"trigger"})
    assert RetrainRequest.model_validate_json(older).trigger == "count"


def test_a_rounds_number_is_one_more_than_the_highest_in_the_log(world: World) -> None:
    world.sell_many(4)
    event = begun(world)
    world.hear(event.model_copy(update={"round": 7}))
    world.train(K.REJECTED, round_=7)
    world.sell_many(4, "m")
    assert begun(world).round == 8


def test_no_trigger_fires_during_a_replay_or_behind_a_lag_and_each_does_afterwards(
    tmp_path: Path,
) -> None:
    """By schedule, and by a person's wish; `count` is in test_conductor.py."""
    for name, wish in (("scheduled", False), ("wished", True)):
        world = World(tmp_path / name, retrain_every_hours=0.0 if wish else 1.0)
        world.sell_many(2)
        world.now_ms += HOUR_MS
        if wish:
            world.say(K.RETRAIN_REQUESTED)
        assert world.tick(caught_up=False) == []
        assert world.tick(lag=1001) == []
        assert begun(world).trigger == ("person" if wish else "schedule")
        world.pool.close()


def test_every_way_to_end_without_a_promotion_counts_towards_the_pause(tmp_path: Path) -> None:
    world = World(tmp_path, max_attempts=1)
    for number, outcome in enumerate((K.REJECTED, K.CHALLENGER, K.FAILED), start=1):
        world.sell_many(4, f"r{number}")
        begun(world)
        world.train(outcome, round_=number)
    world.sell_many(4, "more")
    assert world.step() == []
    assert world.conductor.status().startswith("paused: 3 rounds without promotion")
    world.pool.close()
