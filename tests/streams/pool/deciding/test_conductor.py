"""What the conductor decides, when, and that it decides nothing twice."""

from pathlib import Path

import pytest

from schemas.events import (
    BASE_ADAPTER,
    ListingRequest,
    ModelEvent,
    ModelEventKind,
    Purpose,
    RetrainRequest,
    Status,
)
from tests.streams.world import SUBMITTED, World, begun, kinds, prediction, request, state

K = ModelEventKind


def begin(world: World, prefix: str = "l") -> RetrainRequest:
    world.sell_many(4, prefix)
    return begun(world)


def test_it_fires_exactly_once_when_k_fresh_deficits_are_there(world: World) -> None:
    world.sell_many(3)
    assert world.step() == []
    assert world.conductor.status() == "collecting 3/4"
    world.sell("last")
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert (event.round, event.attempt, event.parent_id) == (1, 1, BASE_ADAPTER)
    assert [(f.role, f.rows) for f in event.files] == [("train", 4), ("heldout", 1)]
    world.sell_many(8, "more")
    assert world.step() == []
    assert world.conductor.status() == "waiting for a trainer: round 1 (attempt 1)"


def test_a_round_says_of_which_kafka_it_is(world: World) -> None:
    asked = begin(world)
    assert (asked.cluster_id, asked.topic_id) == ("cluster", "t1")


def test_ranked_by_edits_a_round_begins_with_legal_but_wrong_predictions(tmp_path: Path) -> None:
    world = World(tmp_path, selection="edits")
    wrong = {**SUBMITTED, "Colour": ["blue"]}
    for listing in "abcd":
        world.sell(listing, values=wrong)
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert (event.selection, event.mean_deficit) == ("edits", 0.0)
    world.sell("later", values=wrong)
    adapter = world.train(K.PROPOSED)
    world.step()
    [order] = world.step()
    assert order.listing_id == "later"
    world.answer_orders(adapter, filled=4)
    world.now_ms += 600_000
    world.step()
    assert world.conductor.status() == "no edits left"
    world.pool.close()


@pytest.mark.parametrize("held_back", [{"caught_up": False}, {"lag": 1001}])
def test_it_does_not_fire_during_a_replay_or_behind_a_lag(
    world: World, held_back: dict[str, object]
) -> None:
    world.sell_many(4)
    assert world.tick(**held_back) == []
    assert kinds(world.tick()) == [RetrainRequest]


def test_a_crash_after_the_decision_neither_loses_nor_doubles_it(world: World) -> None:
    world.sell_many(8)
    [before] = world.tick()
    world.reopen()
    assert world.tick() == [before]
    # Published, delivered, but the process died before `done` and before hearing of it.
    world.hear(before)
    world.reopen()
    world.hear(before)
    assert state(world) == "requested"
    assert world.tick() == [before]  # the shell finds it in the log, and only marks it done


def test_deficits_below_min_gap_do_not_count(tmp_path: Path) -> None:
    world = World(tmp_path, min_gap=0.6)
    for number in range(8):
        world.sell(f"l{number}", filled=2)
    assert world.step() == []
    world.pool.close()


def test_the_pool_is_kept_in_its_bounds(tmp_path: Path) -> None:
    world = World(tmp_path, k=30, pool_max_rows=5)
    world.sell_many(8)
    world.tick()
    assert world.rows("SELECT count(*) FROM store.samples") == [(5,)]
    world.sell_many(2, "more")
    world.now_ms += 60_000
    world.tick()
    assert world.rows("SELECT count(*) FROM store.samples") == [(5,)]
    world.pool.close()


def test_max_rounds_ends_it(tmp_path: Path) -> None:
    world = World(tmp_path, max_rounds=1)
    begin(world)
    world.train(K.REJECTED)
    world.sell_many(8, "m")
    assert world.step() == []
    assert world.conductor.status().startswith("done: 1 rounds")
    world.pool.close()


def test_a_proposal_whose_parent_is_champion_is_promoted_once(world: World) -> None:
    begin(world)
    world.train(K.STARTED)
    assert world.step() == []
    assert world.conductor.status() == "training round 1 (attempt 1)"
    adapter = world.train(K.PROPOSED)
    [event] = world.tick()
    assert isinstance(event, ModelEvent)
    assert (event.kind, event.adapter_hash, event.key()) == (K.PROMOTED, adapter, "alias:champion")
    assert world.tick() == [event]
    assert world.conductor.champion().hash == BASE_ADAPTER  # not before the log says so
    world.step()
    assert world.conductor.champion().hash == adapter
    assert state(world) == "promoted"
    assert world.rows("SELECT adapter_id, champion FROM models") == [
        ("base", False),
        ("default-r1-a1", True),
    ]


def test_a_proposal_whose_parent_is_no_longer_champion_is_superseded(world: World) -> None:
    begin(world)
    world.train(K.PROPOSED)
    world.step()
    world.sell_many(4, "m", adapter_hash=world.conductor.champion().hash)
    world.step()
    world.train(K.PROPOSED, round_=2)
    world.say(K.ROLLBACK_REQUESTED)
    assert kinds(world.step()) == [K.ROLLED_BACK]
    assert world.conductor.champion().hash == BASE_ADAPTER
    assert kinds(world.step()) == [K.SUPERSEDED]
    assert state(world, 2) == "superseded"
    assert world.conductor.champion().hash == BASE_ADAPTER
    assert world.rows("SELECT count(*) FROM store.used WHERE round = 2") == [(0,)]


@pytest.mark.parametrize("outcome", [K.REJECTED, K.CHALLENGER])
def test_a_round_that_does_not_pass_uses_its_listings_up(
    world: World, outcome: ModelEventKind
) -> None:
    begin(world)
    world.train(outcome)
    assert world.step() == []
    assert state(world) == outcome.value
    assert world.rows("FROM pool") == []
    assert world.conductor.champion().hash == BASE_ADAPTER
    assert begin(world, "m").round == 2


def test_a_failed_round_tries_the_same_manifest_again_and_then_is_quarantined(
    world: World,
) -> None:
    first = begin(world)
    world.train(K.FAILED)
    [second] = world.step()
    assert isinstance(second, RetrainRequest)
    assert (second.round, second.attempt, second.files) == (1, 2, first.files)
    assert state(world) == "requested"
    world.train(K.FAILED, attempt=1)  # a late word of the first attempt
    assert state(world) == "requested"
    world.train(K.FAILED, attempt=2)
    assert state(world) == "quarantined"
    assert world.step() == []
    assert world.rows("FROM pool") == []


def test_heartbeats_renew_the_lease_and_without_them_the_round_fails(world: World) -> None:
    begin(world)
    world.say(K.STARTED, round=1)
    for _ in range(3):
        world.now_ms += 50_000
        world.say(K.HEARTBEAT, round=1)
        assert world.step() == []
    world.now_ms += 61_000
    [event] = world.step()
    assert isinstance(event, ModelEvent)
    assert (event.kind, event.reason) == (K.FAILED, "lease_expired")
    assert kinds(world.step()) == [RetrainRequest]
    # The first trainer wakes up and proposes: its attempt is over.
    world.train(K.PROPOSED, attempt=1)
    assert world.step() == []
    assert state(world) == "requested"


def test_a_lease_that_compaction_left_of_a_round_is_kept_when_it_is_read_before_its_request(
    world: World, tmp_path: Path
) -> None:
    request = begin(world)
    beat = world.say(K.HEARTBEAT, round=1)
    other = World(tmp_path / "rebuilt")
    other.hear(beat, request)
    assert state(other) == state(world) == "training"
    other.now_ms += 61_000
    assert kinds(other.step()) == [K.FAILED]
    other.pool.close()


def test_a_round_that_no_trainer_took_has_no_lease_to_run_out(world: World) -> None:
    begin(world)
    world.now_ms += 10_000_000
    assert world.step() == []


def test_rounds_without_promotion_pause_it_until_a_person_resumes(world: World) -> None:
    for number in (1, 2, 3):
        assert begin(world, f"r{number}").round == number
        world.train(K.REJECTED, round_=number)
    world.sell_many(4, "waiting")
    assert world.step() == []
    assert world.conductor.status() == "paused: 3 rounds without promotion"
    assert world.rows("SELECT status FROM status") == [("paused: 3 rounds without promotion",)]
    world.now_ms += 1
    world.say(K.RETRAIN_REQUESTED)
    assert kinds(world.step()) == [RetrainRequest]
    world.train(K.REJECTED, round_=4)
    world.step()
    assert world.conductor.status() == "collecting 0/4"


def test_a_round_asked_for_takes_what_is_there(world: World) -> None:
    world.sell_many(2)
    world.say(K.RETRAIN_REQUESTED)
    [event] = world.step()
    assert isinstance(event, RetrainRequest)
    assert (event.k, [f.rows for f in event.files]) == (2, [2, 1])


def test_a_round_asked_for_long_ago_is_not_begun(world: World) -> None:
    world.sell_many(2)
    world.say(K.RETRAIN_REQUESTED)
    world.now_ms += 700_000
    assert world.step() == []


def test_only_published_adapters_can_be_made_champion_by_a_person(world: World) -> None:
    begin(world)
    rejected = world.train(K.REJECTED)
    for wanted in ("default-r1-a1", "never-heard-of"):
        world.say(K.PROMOTION_REQUESTED, adapter_id=wanted)
        assert world.step() == []
    world.say(
        K.PUBLISHED, round=1, adapter_id="default-r1-a1", adapter_hash=rejected, adapter_uri="u"
    )
    world.say(K.PROMOTION_REQUESTED, adapter_id="default-r1-a1")
    assert kinds(world.step()) == [K.PROMOTED]
    assert world.conductor.champion().hash == rejected
    world.say(K.ROLLBACK_REQUESTED, adapter_id=BASE_ADAPTER)
    assert kinds(world.step()) == [K.ROLLED_BACK]
    assert world.conductor.champion().hash == BASE_ADAPTER


def test_after_a_promotion_gaps_are_stale_and_measured_again_a_few_at_a_time(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, backfill_factor=1)
    begin(world)
    world.sell_many(9, "later")
    adapter = world.train(K.PROPOSED)
    world.step()
    assert world.rows("FROM pool") == []
    orders = world.step()
    assert len(orders) == 4
    for order in orders:
        assert isinstance(order, ListingRequest)
        assert (order.purpose, order.adapter_hash) == (Purpose.BACKFILL, adapter)
        assert order.listing_id.startswith("later")  # the others have been used
        assert order.input_hash() == request(order.listing_id).input_hash()
    assert world.step() == []
    assert world.conductor.status() == "measuring again 0/4 (4 orders outstanding)"
    world.answer_orders(adapter, filled=4)  # no deficit any more: four more are ordered
    assert len(world.step()) == 4
    world.answer_orders(adapter, filled=1)
    assert kinds(world.step()) == [RetrainRequest]
    assert world.rows("SELECT parent_hash FROM store.rounds ORDER BY round") == [
        (BASE_ADAPTER,),
        (adapter,),
    ]
    world.pool.close()


def test_nothing_is_measured_again_when_no_round_may_follow(tmp_path: Path) -> None:
    world = World(tmp_path, backfill_factor=1, max_rounds=1)
    begin(world)
    world.sell_many(5, "later")
    world.train(K.PROPOSED)
    assert kinds(world.step()) == [K.PROMOTED]
    assert world.step() == []
    assert world.conductor.status().startswith("done: 1 rounds")
    world.pool.close()


def test_an_order_unanswered_for_an_hour_no_longer_holds_others_back(tmp_path: Path) -> None:
    world = World(tmp_path, backfill_factor=1)
    begin(world)
    world.sell_many(5, "later")
    world.train(K.PROPOSED)
    world.step()
    first = world.step()
    assert world.step() == []
    world.now_ms += 3_700_000
    assert [o.request_id for o in world.step()] == [o.request_id for o in first]
    world.pool.close()


def test_an_order_answered_superseded_is_sent_anew_when_its_adapter_is_champion_again(
    world: World,
) -> None:
    begin(world)
    world.sell("later")
    adapter = world.train(K.PROPOSED)
    world.step()
    [order] = world.step()
    world.feed(prediction(order, status=Status.SUPERSEDED))
    [again] = world.step()
    assert again.request_id != order.request_id
    assert again.adapter_hash == adapter


def test_it_says_when_nothing_is_left(world: World) -> None:
    world.sell("a", filled=4)
    world.now_ms += 600_000
    world.step()
    assert world.conductor.status() == "no deficit left"
    world.sell("b")
    world.now_ms += 600_000
    world.step()
    assert world.conductor.status() == "starved 1/4"


@pytest.mark.slow
def test_the_state_is_rebuilt_from_the_topics(world: World, tmp_path: Path) -> None:
    begin(world)
    adapter = world.train(K.PROPOSED)
    world.step()
    world.sell_many(4, "m", adapter_hash=adapter, adapter_id="default-r1-a1")
    world.step()
    world.train(K.PROPOSED, round_=2)
    world.say(K.ROLLBACK_REQUESTED)
    world.step()
    assert kinds(world.step()) == [K.SUPERSEDED]
    for log in (
        world.control,
        # The two control topics are read side by side, in any mixture.
        sorted(world.control, key=lambda e: isinstance(e, ModelEvent)),
        sorted(world.control, key=lambda e: isinstance(e, RetrainRequest)),
    ):
        other = World(tmp_path / f"rebuilt{id(log)}")
        other.hear(*log)
        for table in ("rounds", "used", "champion", "adapters"):
            # The lease of a round that is over does not matter.
            columns = "* EXCLUDE (lease_until_ms)" if table == "rounds" else "*"
            everything = f"SELECT {columns} FROM store.{table} ORDER BY ALL"
            assert other.rows(everything) == world.rows(everything), table
        assert other.step() == []  # the rollback was answered; it is not done again
        other.pool.close()


def test_a_log_that_was_compacted_is_not_decided_again(world: World, tmp_path: Path) -> None:
    begin(world)
    adapter = world.train(K.PROPOSED)
    world.step()
    world.sell_many(4, "m", adapter_hash=adapter)
    world.step()
    world.train(K.REJECTED, round_=2)
    latest = {e.key(): e for e in world.control if isinstance(e, ModelEvent)}
    requests = [e for e in world.control if isinstance(e, RetrainRequest)]
    other = World(tmp_path / "rebuilt")
    other.hear(*latest.values(), *requests)
    assert other.step() == []
    assert state(other, 2) == "rejected"
    assert other.conductor.champion().hash == adapter
    other.pool.close()


def test_the_pool_of_another_name_is_passed_over(world: World) -> None:
    begin(world)
    world.say(K.STARTED, round=1, pool="other")
    world.say(K.RETRAIN_REQUESTED, pool="other")
    assert state(world) == "requested"
    assert world.rows("FROM store.wishes") == []
