"""The conductor starts, grows and ends the experiment of the settings, and nothing else stops."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from schemas.experiment import Experiment
from streams.pool import trials
from streams.trials import ExperimentSettings
from tests.streams.world import DAY_MS, START_MS, World, prediction, request, review

STARTED, ENDED = ModelEventKind.EXPERIMENT_STARTED, ModelEventKind.EXPERIMENT_ENDED
TODAY = {"name": "today", "share": 0.2, "answers": "champion"}
NONE = {"name": "none", "share": 0.1, "answers": "blind"}


def experiment(*arms: dict[str, Any], **changes: Any) -> ExperimentSettings:
    return ExperimentSettings(**{"name": "first", "arms": arms or (TODAY, NONE), **changes})


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def world_with(folder: Path, settings: ExperimentSettings, **changes: Any) -> World:
    return World(folder, experiment=settings, **changes)


def changed(world: World, settings: ExperimentSettings) -> None:
    """The worker is started anew with other settings."""
    world.settings = world.settings.model_copy(update={"experiment": settings})
    world.reopen()


def said(world: World) -> list[tuple[ModelEventKind, str]]:
    """What a step says of experiments: what happens, to which."""
    events = [e for e in world.step() if isinstance(e, ModelEvent) and e.experiment]
    return [(e.kind, e.experiment.name) for e in events if e.experiment]


def running(world: World) -> Experiment:
    found = trials.running(world.pool.con)
    assert found is not None
    return found


def shares(world: World) -> dict[str, float]:
    return {arm: round(share, 9) for arm, share in running(world).shares().items()}


def test_it_starts_at_once_where_the_settings_name_no_time(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    assert said(world) == [(STARTED, "first")]
    assert shares(world) == {"today": 0.2, "none": 0.1}
    assert said(world) == []


def test_without_one_in_the_settings_none_starts(world: World) -> None:
    assert said(world) == []


def test_it_starts_at_its_time(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment(start=at(START_MS + 60_000)))
    assert said(world) == []
    assert "experiment first starts at 2023-11-14 22:14 UTC" in world.conductor.status()
    world.now_ms += 60_000
    assert said(world) == [(STARTED, "first")]


def test_it_ends_at_its_time_and_never_starts_again(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment(end=at(START_MS + 60_000)))
    assert said(world) == [(STARTED, "first")]
    assert running(world).ends_ms == START_MS + 60_000
    world.now_ms += 60_000
    assert said(world) == [(ENDED, "first")]
    assert said(world) == []
    assert "give another one another name" in world.conductor.status()


def test_one_whose_end_has_passed_never_begins(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment(end=at(START_MS - 1)))
    assert said(world) == []
    assert "experiment first never began before its end" in world.conductor.status()


def test_it_ends_when_it_is_no_longer_in_the_settings(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    world.step()
    changed(world, ExperimentSettings())
    assert said(world) == [(ENDED, "first")]
    assert trials.running(world.pool.con) is None


def test_another_name_ends_the_one_that_runs_and_then_starts_the_new_one(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    world.step()
    changed(world, experiment(name="second"))
    assert said(world) == [(ENDED, "first")]
    assert said(world) == [(STARTED, "second")]


def test_larger_shares_grow_it_and_its_first_day_stays(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    world.step()
    before = running(world)
    changed(world, experiment(TODAY | {"share": 0.4}, NONE | {"share": 0.3}))
    world.now_ms += DAY_MS
    assert said(world) == [(STARTED, "first")]
    assert shares(world) == {"today": 0.4, "none": 0.3}
    assert "experiment first, day 2: reviewed sellers today 0, none 0" in world.conductor.status()
    after = running(world)
    for seller in map(str, range(1_000)):
        if was := before.arm_of(seller):
            assert after.arm_of(seller) == was


def test_a_later_end_is_taken_over(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment(end=at(START_MS + 60_000)))
    world.step()
    changed(world, experiment(end=at(START_MS + 90_000)))
    assert said(world) == [(STARTED, "first")]
    assert running(world).ends_ms == START_MS + 90_000


@pytest.mark.parametrize(
    "arms",
    [
        (TODAY, NONE | {"share": 0.05}),
        (TODAY | {"name": "now"}, NONE),
        (TODAY, NONE | {"answers": "example"}),
        (NONE, TODAY),
        (TODAY, NONE, NONE | {"name": "third"}),
    ],
    ids=["a share falls", "a name", "an answer", "the order", "an arm more"],
)
def test_a_change_that_would_move_sellers_is_refused_and_it_goes_on(
    tmp_path: Path, arms: tuple[dict[str, Any], ...], caplog: pytest.LogCaptureFixture
) -> None:
    world = world_with(tmp_path, experiment())
    world.step()
    before = running(world)
    changed(world, experiment(*arms))
    with caplog.at_level(logging.WARNING, "listune.conductor"):
        assert said(world) == []
        assert said(world) == []
    assert running(world) == before
    assert "another name" in world.conductor.status()
    [warning] = caplog.messages
    assert "another name" in warning


def test_it_waits_for_an_adapter_that_is_not_published(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    new = {"name": "new", "share": 0.1, "answers": "adapter:a2"}
    world = world_with(tmp_path, experiment(TODAY, new))
    with caplog.at_level(logging.WARNING, "listune.conductor"):
        assert said(world) == []
        assert said(world) == []
    [warning] = caplog.messages
    assert "adapter a2 of arm new is not known as published" in warning
    assert warning in world.conductor.status()
    adapter = {"adapter_id": "a2", "adapter_hash": "h2", "adapter_uri": "registry/a2"}
    world.say(ModelEventKind.PUBLISHED, **adapter)
    assert said(world) == [(STARTED, "first")]
    arm = running(world).arms[1]
    assert (arm.adapter_id, arm.adapter_hash, arm.adapter_uri) == ("a2", "h2", "registry/a2")


def test_a_replay_starts_nothing(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    assert world.tick(caught_up=False) == []


def test_until_its_start_has_come_back_it_is_not_said_again(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    [once] = world.tick()
    assert world.tick() == [once]


def test_a_crash_between_the_decision_and_the_log_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    world = world_with(tmp_path, experiment())
    world.tick()
    world.reopen()
    assert said(world) == [(STARTED, "first")]
    assert said(world) == []


def test_a_rebuilt_pool_knows_from_the_log_alone_what_runs(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    world.step()
    rebuilt = World(tmp_path / "rebuilt", experiment=experiment())
    rebuilt.hear(*world.control)
    assert trials.running_trial(rebuilt.pool.con) == trials.running_trial(world.pool.con)
    assert said(rebuilt) == []


def test_an_experiment_and_a_round_begin_beside_each_other(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    world.sell_many(4)
    assert said(world) == [(STARTED, "first")]
    assert any(isinstance(event, RetrainRequest) for event in world.step())
    changed(world, experiment(TODAY, NONE | {"share": 0.3}))
    assert said(world) == [(STARTED, "first")]
    line = world.conductor.status()
    assert "round 1" in line
    assert "experiment first, day 1" in line


def test_an_experiment_that_waits_keeps_no_round_from_beginning(tmp_path: Path) -> None:
    gone = {"name": "new", "share": 0.1, "answers": "adapter:gone"}
    world = world_with(tmp_path, experiment(TODAY, gone))
    world.sell_many(4)
    assert any(isinstance(event, RetrainRequest) for event in world.step())


def test_the_status_counts_the_sellers_that_reviewed_in_each_arm(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    world.step()
    for number, arm in enumerate(["today", "today", "none"]):
        asked = request(f"x{number}", seller_id=f"s{number}")
        answer = prediction(asked, 2, arms={"first": arm})
        world.feed(asked, answer, review(answer))
    world.now_ms += 1_000
    world.step()
    assert "reviewed sellers today 2, none 1" in world.conductor.status()


def test_the_view_status_names_the_experiment_that_runs(tmp_path: Path) -> None:
    world = world_with(tmp_path, experiment())
    assert world.rows("SELECT experiment FROM main.status") == [(None,)]
    world.step()
    assert world.rows("SELECT experiment FROM main.status") == [("first",)]
