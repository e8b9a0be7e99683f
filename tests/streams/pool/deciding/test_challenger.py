"""A round that was left undecided is judged again as held-out listings come in."""

from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.events import BASE_ADAPTER, ModelEvent, ModelEventKind, RetrainRequest
from tests.streams.world import START_MS, World, begun, state

K = ModelEventKind
NAME = "default-r1-a1"


@pytest.fixture
def world(tmp_path: Path) -> Any:
    """Round 1 was judged on four held-out listings, and is a challenger."""
    made = undecided(World(tmp_path, heldout_least=4, held_out=4, backfill_factor=0))
    yield made
    made.pool.close()


def undecided(world: World) -> World:
    world.sell_many(4)
    begun(world)
    world.now_ms += 1
    world.train(K.CHALLENGER)
    return world


def looked_at(world: World, count: int = 2) -> RetrainRequest:
    """As many new held-out listings as a further look needs are reviewed, and it is ordered."""
    world.now_ms += 1
    world.hold_out(count)
    return begun(world)


def used(world: World, round_: int = 1) -> int:
    return len(world.rows(f"FROM store.used WHERE round = {round_}"))


def said(events: list[object]) -> list[object]:
    return [e.kind if isinstance(e, ModelEvent) else type(e) for e in events]


# --------------------------------------------------------------------------------- when and what


def test_a_further_look_waits_for_half_as_many_new_listings_as_the_last_one_had(
    world: World,
) -> None:
    assert world.step() == []
    waits = f"challenger {NAME} waits for 2 more held-out listings"
    assert world.conductor.status() == f"collecting 0/4 · {waits}"
    world.now_ms += 1
    world.hold_out(1)
    assert world.step() == []
    assert world.conductor.status().endswith("waits for 1 more held-out listings")
    assert looked_at(world, 1).look == 2
    assert world.step() == []
    assert world.conductor.status() == "judging round 1 again (look 2)"


def test_the_look_names_the_newest_held_out_listings_and_nothing_to_train_on(world: World) -> None:
    first = world.control[0]
    assert isinstance(first, RetrainRequest)
    look = looked_at(world)
    assert (look.round, look.attempt, look.look, look.k) == (1, 1, 2, 4)
    assert (look.parent_id, look.trigger, look.created_ms) == ("base", "count", world.now_ms)
    [file] = look.files
    assert (file.role, Path(file.path).name) == ("heldout", "default-r1-look2-heldout.parquet")
    ids = duckdb.sql(f"SELECT listing_id FROM '{file.path}'").fetchall()
    assert {row[0] for row in ids} == set(world.held_out)
    assert first.files != look.files
    assert used(world) == 4


def test_each_further_look_is_measured_by_the_last(world: World) -> None:
    looked_at(world)
    world.train(K.CHALLENGER, look=2)
    assert state(world) == "challenger"
    world.now_ms += 1
    world.hold_out(2)
    assert world.step() == []  # six judged it last
    assert looked_at(world, 1).look == 3
    assert world.rows("SELECT look, state FROM rounds") == [(3, "judging")]


def test_never_fewer_new_ones_than_half_of_the_least(tmp_path: Path) -> None:
    world = undecided(World(tmp_path, heldout_least=4, held_out=4, heldout_most=4))
    # A person wants more.
    world.settings = world.settings.model_copy(update={"heldout_least": 6, "heldout_most": 6})
    world.reopen()
    world.now_ms += 1
    world.hold_out(2)
    world.step()
    assert world.conductor.status().endswith("waits for 1 more held-out listings")
    world.pool.close()


def test_a_look_comes_before_a_round_that_is_due_too(world: World) -> None:
    world.sell_many(4, "m")
    assert looked_at(world).look == 2
    world.train(K.REJECTED, look=2)
    assert begun(world).round == 2


def test_a_round_may_begin_while_the_challenger_waits(world: World) -> None:
    world.sell_many(4, "m")
    assert begun(world).round == 2
    world.now_ms += 1
    world.hold_out(2)
    assert world.step() == []  # one thing at a time
    world.train(K.REJECTED, round_=2)
    assert begun(world).look == 2
    assert state(world) == "judging"


@pytest.mark.parametrize("held_back", [{"pause_after": 1}, {"max_rounds": 1}])
def test_neither_a_pause_nor_the_last_round_keeps_a_look_back(
    tmp_path: Path, held_back: dict[str, int]
) -> None:
    world = undecided(World(tmp_path, heldout_least=4, held_out=4, **held_back))
    assert world.step() == []
    assert world.conductor.status().endswith(
        f"challenger {NAME} waits for 2 more held-out listings"
    )
    assert looked_at(world).look == 2
    world.pool.close()


def test_a_crash_after_the_decision_neither_loses_nor_doubles_it(world: World) -> None:
    world.now_ms += 1
    world.hold_out(2)
    [before] = world.tick()
    world.reopen()
    assert world.tick() == [before]
    world.hear(before)
    world.reopen()
    world.hear(before)
    assert state(world) == "judging"
    assert world.rows("SELECT json_array_length(request -> '$.files') FROM store.rounds") == [(3,)]


# -------------------------------------------------------------------------------- what comes of it


def test_proposed_it_is_promoted(world: World) -> None:
    looked_at(world)
    adapter = world.train(K.PROPOSED, look=2)
    [event] = world.step()
    assert (event.kind, event.look, event.round) == (K.PROMOTED, 2, 1)
    assert world.conductor.champion().hash == adapter
    assert state(world) == "promoted"
    assert used(world) == 4


def test_rejected_it_is_over(world: World) -> None:
    looked_at(world)
    world.train(K.REJECTED, look=2)
    assert world.step() == []
    assert (state(world), used(world)) == ("rejected", 4)
    world.hold_out(9)
    assert world.step() == []


def test_a_look_that_fails_is_used_up_and_not_tried_again(world: World) -> None:
    looked_at(world)
    world.train(K.FAILED, look=2)
    assert world.step() == []
    assert state(world) == "challenger"
    assert looked_at(world, 3).look == 3


def test_a_look_whose_lease_runs_out_is_used_up_and_its_late_word_is_passed(world: World) -> None:
    looked_at(world)
    world.say(K.STARTED, round=1, look=2)
    world.now_ms += 50_000
    world.say(K.HEARTBEAT, round=1, look=2)
    assert world.step() == []
    world.now_ms += 61_000
    [event] = world.step()
    assert (event.kind, event.look, event.reason) == (K.FAILED, 2, "lease_expired")
    assert state(world) == "challenger"
    world.train(K.PROPOSED, look=2)  # it wakes up
    assert world.step() == []
    assert state(world) == "challenger"
    looked_at(world, 3)
    world.train(K.REJECTED, look=2)
    assert state(world) == "judging"


def test_a_look_that_no_trainer_took_has_no_lease_to_run_out(world: World) -> None:
    looked_at(world)
    world.now_ms += 10_000_000
    assert world.step() == []


@pytest.mark.parametrize("outcome", [K.PROPOSED, K.CHALLENGER])
def test_a_later_round_takes_its_place_and_its_listings_may_be_learnt_again(
    world: World, outcome: ModelEventKind
) -> None:
    world.sell_many(4, "m")
    begun(world)
    world.train(outcome, round_=2)
    if outcome is K.PROPOSED:
        world.step()
    assert state(world) == "superseded"
    assert (used(world, 1), used(world, 2)) == (0, 4)
    assert world.rows("SELECT reason FROM rounds WHERE round = 1") == [
        ("a later round took its place",)
    ]
    if outcome is K.CHALLENGER:
        assert begun(world).round == 3  # on the listings of round 1


def test_a_rejected_one_does_not(world: World) -> None:
    world.sell_many(4, "m")
    begun(world)
    world.train(K.REJECTED, round_=2)
    assert (state(world), used(world)) == ("challenger", 4)


def test_it_waits_while_its_parent_is_not_champion(world: World) -> None:
    world.say(K.PUBLISHED, adapter_id="other", adapter_hash="0" * 64)
    world.say(K.PROMOTION_REQUESTED, adapter_id="other")
    assert said(world.step()) == [K.PROMOTED]
    world.now_ms += 1
    world.hold_out(4)
    assert world.step() == []
    assert "challenger" not in world.conductor.status()
    world.say(K.ROLLBACK_REQUESTED, adapter_id=BASE_ADAPTER)
    assert said(world.step()) == [K.ROLLED_BACK]
    assert begun(world).look == 2


def test_it_is_superseded_if_another_is_champion_by_the_time_it_is_proposed(world: World) -> None:
    looked_at(world)
    world.say(K.PUBLISHED, adapter_id="other", adapter_hash="0" * 64)
    world.say(K.PROMOTION_REQUESTED, adapter_id="other")
    world.step()
    world.train(K.PROPOSED, look=2)
    assert said(world.step()) == [K.SUPERSEDED]
    assert (state(world), used(world)) == ("superseded", 0)


def test_a_person_cannot_promote_one_that_was_never_published(world: World) -> None:
    world.say(K.PROMOTION_REQUESTED, adapter_id=NAME)
    assert world.step() == []
    assert world.conductor.champion().hash == BASE_ADAPTER


# ------------------------------------------------------------------------------- what it counts as


def test_it_counts_once_towards_the_pause_and_a_promotion_ends_the_count(tmp_path: Path) -> None:
    world = undecided(World(tmp_path, heldout_least=4, held_out=4, pause_after=2))
    for look in (2, 3):
        looked_at(world, 4)
        world.train(K.CHALLENGER, look=look)
    world.sell_many(4, "m")
    assert begun(world).round == 2
    world.train(K.REJECTED, round_=2)
    world.step()
    assert world.conductor.status().startswith("paused: 2 rounds without promotion")
    looked_at(world, 9)
    world.train(K.PROPOSED, look=4)
    world.step()
    world.step()
    assert world.conductor.status() == "collecting 0/4"
    world.pool.close()


def test_a_look_is_no_beginning_for_the_schedule_and_starts_no_cool_down(tmp_path: Path) -> None:
    hour = 3_600_000
    world = undecided(
        World(tmp_path, heldout_least=4, held_out=4, retrain_every_hours=2.0, cool_down_s=600)
    )
    world.sell("m")
    world.now_ms = START_MS + hour
    looked_at(world)
    world.now_ms = START_MS + 2 * hour
    world.train(K.CHALLENGER, look=2)
    assert begun(world).trigger == "schedule"
    world.pool.close()


def test_its_listings_stay_used_while_it_waits(world: World) -> None:
    assert world.rows("FROM pool") == []
    assert used(world) == 4


# ------------------------------------------------------------------------------------ from the log


def everything(world: World, table: str) -> list[Any]:
    columns = "* EXCLUDE (lease_until_ms)" if table == "rounds" else "*"
    return world.rows(f"SELECT {columns} FROM store.{table} ORDER BY ALL")


def rebuilt(world: World, folder: Path, log: list[Any]) -> World:
    other = World(folder, held_out=0, heldout_least=4)
    other.hear(*log)
    return other


@pytest.mark.slow
def test_the_state_is_rebuilt_from_the_topics_in_any_mixture(world: World, tmp_path: Path) -> None:
    looked_at(world)
    world.train(K.CHALLENGER, look=2)
    world.sell_many(4, "m")
    begun(world)
    world.train(K.CHALLENGER, round_=2)  # takes the place of round 1
    looked_at(world, 4)
    world.train(K.FAILED, round_=2, look=2)
    looked_at(world, 9)
    world.say(K.STARTED, round=2, look=3)
    for cut in (None, -1, -3):
        log = world.control[:cut]
        expected = rebuilt(world, tmp_path / f"in order {cut}", log)
        if cut is None:
            assert [state(world, n) for n in (1, 2)] == ["superseded", "judging"]
            for table in ("rounds", "used", "champion", "adapters"):
                assert everything(expected, table) == everything(world, table), table
        for name, first in (("requests", RetrainRequest), ("events", ModelEvent)):
            mixed = sorted(log, key=lambda e, first=first: not isinstance(e, first))  # type: ignore[misc]
            other = rebuilt(world, tmp_path / f"{name} first {cut}", mixed)
            for table in ("rounds", "used", "champion", "adapters"):
                assert everything(other, table) == everything(expected, table), (cut, name, table)
            other.pool.close()
        expected.pool.close()


@pytest.mark.parametrize("outcome", [K.CHALLENGER, K.REJECTED, K.FAILED, K.STARTED])
@pytest.mark.parametrize("first", [RetrainRequest, ModelEvent])
def test_a_log_that_was_compacted_gives_the_same_state(
    world: World, tmp_path: Path, outcome: ModelEventKind, first: type
) -> None:
    looked_at(world)
    world.train(outcome, look=2)
    latest = {e.key(): e for e in world.control if isinstance(e, ModelEvent)}
    requests = [e for e in world.control if isinstance(e, RetrainRequest)]
    log = sorted([*requests, *latest.values()], key=lambda e: not isinstance(e, first))
    other = rebuilt(world, tmp_path / "compacted", log)
    told = "SELECT attempt, look, state, looked_ms, requested_ms, request FROM store.rounds"
    assert other.rows(told) == world.rows(told)
    assert used(other) == 4
    other.pool.close()


def test_a_challenger_that_a_later_one_took_the_place_of_stays_so_in_a_compacted_log(
    world: World, tmp_path: Path
) -> None:
    world.sell_many(4, "m")
    begun(world)
    world.train(K.CHALLENGER, round_=2)
    looked_at(world, 4)
    world.say(K.STARTED, round=2, look=2)  # all that the log still says of round 2
    latest = {e.key(): e for e in world.control if isinstance(e, ModelEvent)}
    requests = [e for e in world.control if isinstance(e, RetrainRequest)]
    other = rebuilt(world, tmp_path / "compacted", [*requests, *latest.values()])
    assert [state(other, n) for n in (1, 2)] == ["superseded", "judging"]
    assert used(other) == 0
    other.pool.close()


def test_a_look_at_a_round_that_the_log_no_longer_has(world: World, tmp_path: Path) -> None:
    look = looked_at(world)
    other = rebuilt(world, tmp_path / "cut", [look])
    assert other.rows("SELECT look, state, requested_at FROM rounds") == [(2, "judging", None)]
    assert used(other) == 0
    other.train(K.CHALLENGER, look=2)
    assert state(other) == "challenger"
    other.pool.close()


def test_a_file_that_calls_undecided_rounds_inconclusive_is_taken_over(world: World) -> None:
    world.sell_many(4, "m")
    begun(world)
    world.train(K.CHALLENGER, round_=2)
    world.pool.con.execute("UPDATE store.rounds SET state = 'inconclusive'")
    world.reopen()
    assert [state(world, n) for n in (1, 2)] == ["superseded", "challenger"]
    assert looked_at(world, 9).round == 2


def test_a_forgotten_listing_leaves_the_files_of_every_look(world: World) -> None:
    look = looked_at(world)
    gone = world.held_out[0]
    world.forget(gone)
    world.step()
    world.step()
    files = [file for e in (world.control[0], look) for file in e.files]  # type: ignore[union-attr]
    paths = [file.path for file in files if file.role == "heldout"]
    assert len(paths) == 2
    for path in paths:
        assert (gone,) not in duckdb.sql(f"SELECT listing_id FROM '{path}'").fetchall()
    assert world.rows("SELECT rounds, settled FROM forgotten") == [([], True)]


def test_what_is_forgotten_while_a_look_is_sent_leaves_its_file_too(world: World) -> None:
    world.now_ms += 1
    world.hold_out(2)
    [look] = world.tick()
    world.forget(world.held_out[0])
    for _ in range(3):
        world.step()
    [file] = look.files
    assert (world.held_out[0],) not in duckdb.sql(
        f"SELECT listing_id FROM '{file.path}'"
    ).fetchall()
