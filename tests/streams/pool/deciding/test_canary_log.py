"""A canary is the same after a crash, and made again from the topics."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import BASE_ADAPTER, ModelEvent, ModelEventKind, RetrainRequest
from streams.pool.trials import running_canary
from tests.streams.pool.deciding.canaries import QUICK, by_turns, proposed, tried
from tests.streams.world import World, kinds, state

K = ModelEventKind


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path, **QUICK)
    yield made
    made.pool.close()


def test_a_crash_neither_loses_nor_doubles_a_decision(world: World) -> None:
    proposed(world)
    [started] = world.tick()
    world.reopen()
    assert world.tick() == [started]
    world.hear(started)
    world.reopen()
    world.hear(started)  # the shell publishes it again
    assert state(world) == "canary"
    assert world.tick() == [started]  # no second one
    adapter = started.adapter_hash
    world.now_ms += 1_000
    by_turns(world, adapter, 20, accepted=0)
    [_, ended] = world.tick()
    assert ended.kind is K.EXPERIMENT_ENDED
    world.reopen()
    assert world.tick() == [started, ended]
    world.hear(ended)
    world.reopen()
    world.hear(ended)
    assert state(world) == "rejected"
    assert world.tick() == [started, ended]


def test_a_crash_changes_nothing_of_what_was_seen(world: World) -> None:
    adapter = tried(world)
    by_turns(world, adapter, 3, accepted=1)
    world.step()
    before = world.conductor.status()
    world.reopen()
    assert world.step() == []
    assert world.conductor.status() == before


@pytest.mark.slow
@pytest.mark.parametrize("accepted", [0, 2])
def test_the_state_is_rebuilt_from_the_topics_in_any_mixture(
    world: World, tmp_path: Path, accepted: int
) -> None:
    adapter = tried(world)
    same_in_rebuilds(world, tmp_path)
    by_turns(world, adapter, 60, accepted)
    world.step()
    assert state(world) in ("rejected", "promoted")
    same_in_rebuilds(world, tmp_path)


def same_in_rebuilds(world: World, tmp_path: Path) -> None:
    for n, log in enumerate(
        (
            world.control,
            sorted(world.control, key=lambda e: isinstance(e, ModelEvent)),
            sorted(world.control, key=lambda e: isinstance(e, RetrainRequest)),
        )
    ):
        other = World(tmp_path / f"rebuilt-{len(world.control)}-{n}-{world.now_ms}", **QUICK)
        other.hear(*log)
        for table in ("rounds", "used", "champion", "adapters", "experiments", "alias_moves"):
            columns = "* EXCLUDE (lease_until_ms)" if table == "rounds" else "*"
            everything = f"SELECT {columns} FROM store.{table} ORDER BY ALL"
            assert other.rows(everything) == world.rows(everything), table
        other.now_ms = world.now_ms
        assert other.step() == []
        other.pool.close()


@pytest.mark.slow
@pytest.mark.parametrize(("accepted", "came_to"), [(0, "rejected"), (2, "promoted")])
def test_a_compacted_log_decides_nothing_again(
    world: World, tmp_path: Path, accepted: int, came_to: str
) -> None:
    adapter = tried(world)
    by_turns(world, adapter, 60, accepted)
    world.step()
    latest = {e.key(): e for e in world.control if isinstance(e, ModelEvent)}
    in_order = [e for e in world.control if e in latest.values()]
    requests = [e for e in world.control if isinstance(e, RetrainRequest)]
    other = World(tmp_path / "rebuilt", **QUICK)
    other.hear(*in_order, *requests)
    assert other.step() == []
    assert state(other) == came_to
    assert other.conductor.champion() == world.conductor.champion()
    assert running_canary(other.pool.con) is None
    other.pool.close()


@pytest.mark.slow
def test_a_promotion_that_compaction_took_is_not_made_again(world: World, tmp_path: Path) -> None:
    adapter = tried(world)
    by_turns(world, adapter, 60, accepted=2)
    world.step()
    world.say(K.ROLLBACK_REQUESTED)
    assert kinds(world.step()) == [K.ROLLED_BACK]
    latest = {e.key(): e for e in world.control if isinstance(e, ModelEvent)}
    other = World(tmp_path / "rebuilt", **QUICK)
    other.hear(*[e for e in world.control if e in latest.values()])
    assert other.step() == []
    assert state(other) == "promoted"
    assert other.conductor.champion().hash == BASE_ADAPTER
    assert running_canary(other.pool.con) is None
    other.pool.close()
