"""An adapter that a canary let go to all is watched on, and goes back if sellers get less by it."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import BASE_ADAPTER, ModelEventKind
from tests.streams.pool.deciding.canaries import NAME, by_turns, seller, tried
from tests.streams.world import World, kinds, state

K = ModelEventKind
CANARY = {"share": 0.1, "most_sellers": 60, "watch_sellers": 100}


def to_all(world: World) -> str:
    """The canary of round 1 ends well; the hash of its adapter, which is champion now."""
    adapter = tried(world)
    by_turns(world, adapter, 60, accepted=2)
    assert kinds(world.step()) == [K.PROMOTED]
    world.now_ms += 1_000
    return adapter


@pytest.fixture
def world(tmp_path: Path) -> Any:
    made = World(tmp_path, canary=CANARY, max_rounds=1)
    yield made
    made.pool.close()


def come(world: World, number: int, accepted: int, adapter: str) -> None:
    """So many new sellers get the champion's answers and review them, and a second passes."""
    world.feed(*[event for _ in range(number) for event in seller(None, accepted, adapter)])
    world.now_ms += 1_000


def test_an_adapter_by_which_all_get_less_goes_back_to_its_parent(world: World) -> None:
    adapter = to_all(world)
    [(reference,)] = world.rows("SELECT watch_reference FROM store.alias_moves")
    assert 0.2 < reference < 0.375  # what its parent's sellers got is 0.375
    sellers = 0
    while not (events := world.step()):
        come(world, 5, 0, adapter)
        sellers += 5
    [moved] = events
    assert (moved.kind, moved.adapter_id, moved.key()) == (
        K.ROLLED_BACK,
        BASE_ADAPTER,
        "alias:champion",
    )
    assert sellers <= 30
    assert moved.reason == (
        f"{sellers} sellers after its canary get less by {NAME} than by its parent: net benefit "
        f"-0.25, the parent's was at least {reference:+.2f}"
    )
    assert world.conductor.champion().hash == BASE_ADAPTER
    come(world, 20, 0, adapter)
    assert world.step() == []  # never twice
    assert state(world) == "promoted"


def test_one_by_which_they_get_as_much_stays_and_is_watched_no_longer(world: World) -> None:
    adapter = to_all(world)
    come(world, 99, 2, adapter)
    assert world.step() == []
    assert world.conductor.status().endswith(f" · watching {NAME}: 99 of 100 sellers")
    come(world, 1, 2, adapter)
    world.step()
    world.step()
    assert "watching" not in world.conductor.status()
    come(world, 50, 0, adapter)
    assert world.step() == []
    assert world.conductor.champion().hash == adapter


def test_whom_it_is_watched_by_stay_in_a_full_pool(tmp_path: Path) -> None:
    canary = {**CANARY, "most_sellers": 3, "watch_sellers": 5}
    world = World(tmp_path, canary=canary, max_rounds=1, pool_max_rows=5)
    adapter = tried(world)
    by_turns(world, adapter, 3, accepted=2)
    assert kinds(world.step()) == [K.PROMOTED]
    world.now_ms += 1_000
    come(world, 4, 4, adapter)  # good answers would go first
    world.now_ms += 60_000
    world.step()
    world.now_ms += 1_000
    world.step()
    assert f"watching {NAME}: 4 of 5 sellers" in world.conductor.status()
    come(world, 1, 4, adapter)
    world.now_ms += 60_000
    world.step()
    world.now_ms += 60_000
    world.step()
    assert world.rows("SELECT count(*) FROM store.samples") == [(5,)]  # the watch is over
    world.pool.close()


def test_who_closed_their_number_in_the_canary_is_not_counted_again(world: World) -> None:
    to_all(world)
    world.step()
    assert world.conductor.status().endswith(f"watching {NAME}: 0 of 100 sellers")


def test_a_crash_changes_nothing_and_a_rebuild_from_the_log_watches_on(
    world: World, tmp_path: Path
) -> None:
    adapter = to_all(world)
    come(world, 10, 2, adapter)
    world.step()
    before = world.conductor.status()
    assert "watching default-r1-a1: 10 of 100" in before
    world.reopen()
    assert world.step() == []
    assert world.conductor.status() == before
    come(world, 40, 0, adapter)
    [moved] = world.tick()
    world.reopen()
    assert world.tick() == [moved]
    world.hear(moved)
    world.reopen()
    assert world.tick() == [moved]
    latest = {e.key(): e for e in world.control[:-1] if not hasattr(e, "files")}
    other = World(tmp_path / "rebuilt", canary=CANARY, max_rounds=1)
    other.hear(*[e for e in world.control if e in latest.values()])
    other.now_ms = world.now_ms
    other.step()
    assert "watching default-r1-a1: 0 of 100" in other.conductor.status()
    other.pool.close()


def test_a_persons_move_ends_the_watch(world: World) -> None:
    adapter = to_all(world)
    come(world, 5, 0, adapter)
    assert world.step() == []
    world.say(K.ROLLBACK_REQUESTED)
    assert kinds(world.step()) == [K.ROLLED_BACK]
    world.say(K.PROMOTION_REQUESTED, adapter_id=NAME)
    assert kinds(world.step()) == [K.PROMOTED]
    come(world, 50, 0, adapter)
    assert world.step() == []
    assert "watching" not in world.conductor.status()


@pytest.mark.parametrize("how", ["a person promotes it", "it is off"])
def test_nobody_is_watched_where(tmp_path: Path, how: str) -> None:
    off = how == "it is off"
    world = World(tmp_path, canary=CANARY | ({"watch_sellers": 0} if off else {}), max_rounds=1)
    if off:
        adapter = to_all(world)
    else:
        adapter = tried(world)
        world.say(K.PROMOTION_REQUESTED, adapter_id=NAME)
        assert kinds(world.step()) == [K.PROMOTED]
    come(world, 50, 0, adapter)
    assert world.step() == []
    assert world.conductor.champion().hash == adapter
    world.pool.close()
