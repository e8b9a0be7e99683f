"""What the control log tells of experiments and canaries is written down, whatever compaction left
of it."""

from typing import Any

from schemas.events import ModelEvent, ModelEventKind
from schemas.experiment import Arm, Experiment
from streams.pool import trials
from streams.pool.deciding.selection import prune
from tests.streams.world import DAY_MS, START_MS, World

STARTED, ENDED = ModelEventKind.EXPERIMENT_STARTED, ModelEventKind.EXPERIMENT_ENDED


def experiment(name: str = "titles", share: float = 0.1) -> Experiment:
    arms = (Arm(name="today", answers="champion"), Arm(name="none", answers="blind"))
    return Experiment(name=name, arms=arms).grown({"today": share, "none": share})


def canary() -> Experiment:
    arms = (Arm(name="parent", answers="champion"), Arm(name="canary", answers="adapter:a2"))
    return Experiment(name="canary:a2", arms=arms).grown({"parent": 0.1, "canary": 0.1})


def tell(world: World, kind: ModelEventKind, **changes: Any) -> ModelEvent:
    return world.say(kind, **{"experiment": experiment(), **changes})


def test_an_experiment_that_started_runs(world: World) -> None:
    tell(world, STARTED)
    assert trials.running(world.pool.con) == experiment()
    assert trials.running_canary(world.pool.con) is None


def test_started_again_it_has_larger_shares_and_began_when_it_first_did(world: World) -> None:
    tell(world, STARTED, details={"started_ms": START_MS})
    world.now_ms += 1_000
    tell(world, STARTED, experiment=experiment(share=0.3), details={"started_ms": START_MS})
    found = trials.running_trial(world.pool.con)
    assert found is not None
    assert found.experiment == experiment(share=0.3)
    assert found.started_ms == START_MS


def test_one_that_ended_no_longer_runs_and_says_why(world: World) -> None:
    tell(world, STARTED)
    world.now_ms += 1_000
    tell(world, ENDED, reason="it is over")
    assert trials.running(world.pool.con) is None
    found = trials.find(world.pool.con, "titles")
    assert found is not None
    assert (found.state, found.ended_ms, found.reason) == ("ended", world.now_ms, "it is over")


def test_a_canary_runs_beside_an_experiment(world: World) -> None:
    tell(world, STARTED)
    tell(world, STARTED, experiment=canary())
    assert trials.running(world.pool.con) == experiment()
    assert trials.running_canary(world.pool.con) == canary()


def test_a_move_of_the_alias_ends_the_canary_and_no_experiment(world: World) -> None:
    tell(world, STARTED)
    tell(world, STARTED, experiment=canary())
    world.say(ModelEventKind.ROLLED_BACK, adapter_id="base", adapter_hash="base")
    assert trials.running_canary(world.pool.con) is None
    assert trials.running(world.pool.con) == experiment()


def test_what_happens_in_another_pool_changes_nothing_here(world: World) -> None:
    tell(world, STARTED, experiment=canary())
    tell(world, STARTED, pool="other")
    world.say(ModelEventKind.ROLLED_BACK, pool="other", adapter_id="base", adapter_hash="base")
    assert trials.running(world.pool.con) is None
    assert trials.running_canary(world.pool.con) == canary()


def test_what_another_worker_started_meanwhile_voids_what_this_one_was_about_to_say(
    world: World,
) -> None:
    world.sell_many(4)
    world.tick()
    assert world.rows("SELECT count(*) FROM store.pending") == [(1,)]
    tell(world, STARTED)
    assert world.rows("SELECT count(*) FROM store.pending") == [(0,)]


def test_what_compaction_leaves_of_an_experiment_says_all_of_it(world: World) -> None:
    """Of each key the last event: how it ended, without how it began."""
    tell(world, ENDED, reason="it is over", details={"started_ms": START_MS - 1_000})
    found = trials.find(world.pool.con, "titles")
    assert found is not None
    assert (found.state, found.started_ms) == ("ended", START_MS - 1_000)
    assert found.experiment == experiment()


def test_a_full_pool_keeps_the_good_answers_of_an_experiment_as_long_as_it_runs(
    world: World,
) -> None:
    tell(world, STARTED)
    world.sell("good", 4, arms={"titles": "today"})
    world.sell_many(3)

    def pruned() -> list[tuple[str]]:
        prune(world.pool.con, "deficit", max_rows=1, max_age_ms=DAY_MS, heldout_most=1)
        return world.rows("SELECT listing_id FROM store.samples ORDER BY 1")

    assert ("good",) in pruned()
    tell(world, ENDED)
    assert ("good",) not in pruned()
