"""An arm that does sellers harm ends its experiment."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import ModelEvent, ModelEventKind
from streams.pool import trials
from streams.trials import ExperimentSettings
from tests.streams.world import World, prediction, request, review

ENDED = ModelEventKind.EXPERIMENT_ENDED
TODAY = {"name": "today", "share": 0.4, "answers": "champion"}
OTHER = {"name": "other", "share": 0.4, "answers": "base"}
NONE = {"name": "none", "share": 0.1, "answers": "blind"}
RIGHT, WRONG = 3, 0


def world_with(folder: Path, guardrail: float, *arms: dict[str, Any]) -> World:
    experiment = ExperimentSettings(name="first", arms=arms or (TODAY, OTHER), guardrail=guardrail)
    world = World(folder, experiment=experiment)
    world.step()
    return world


def reviewed(world: World, arm: str, sellers: int, right: int) -> None:
    """So many more sellers of `arm` review: of three values shown to them `right` are right."""
    known = world.rows("SELECT count(*) FROM store.reviews")[0][0]
    shown = {"Colour": ["red"], "Height": ["30 cm"], "Dimmable": ["yes"]}
    wrong = {"Colour": ["blue"], "Height": ["40 cm"], "Dimmable": ["no"]}
    values = shown if right else wrong
    for number in range(known, known + sellers):
        world.now_ms += 1
        asked = request(f"x{number}", seller_id=f"s{number}")
        answer = prediction(asked, values=values, arms={"first": arm})
        world.feed(asked, answer, review(answer))


def ended(world: World) -> list[str]:
    """Why an experiment ends at the next look."""
    world.now_ms += 1_000
    events = [e for e in world.step() if isinstance(e, ModelEvent) and e.kind is ENDED]
    return [event.reason or "" for event in events]


def test_an_arm_that_is_surely_worse_by_more_than_the_guardrail_ends_it(tmp_path: Path) -> None:
    world = world_with(tmp_path, 0.2)
    for _ in range(30):
        reviewed(world, "today", 1, RIGHT)
        reviewed(world, "other", 1, WRONG)
        if reasons := ended(world):
            break
    [reason] = reasons
    assert "net benefit of arm other is surely more than 0.2 below that of today" in reason
    assert trials.running(world.pool.con) is None
    assert ended(world) == []
    assert f"experiment first has ended: {reason}" in world.conductor.status()


def test_without_a_guardrail_it_goes_on(tmp_path: Path) -> None:
    world = world_with(tmp_path, 0.0)
    for _ in range(30):
        reviewed(world, "today", 1, RIGHT)
        reviewed(world, "other", 1, WRONG)
    assert ended(world) == []
    assert "reviewed sellers today 30, other 30" in world.conductor.status()


@pytest.mark.parametrize("other", [RIGHT, WRONG], ids=["better", "as good"])
def test_an_arm_that_does_no_harm_does_not_end_it(tmp_path: Path, other: int) -> None:
    world = world_with(tmp_path, 0.05)
    for _ in range(30):
        reviewed(world, "today", 1, WRONG)
        reviewed(world, "other", 1, other)
    assert ended(world) == []


def test_a_blind_arm_which_suggests_nothing_does_no_harm(tmp_path: Path) -> None:
    world = world_with(tmp_path, 0.05, TODAY, NONE)
    for _ in range(30):
        reviewed(world, "today", 1, RIGHT)
        asked = request(f"b{world.now_ms}", seller_id=f"b{world.now_ms}")
        answer = prediction(asked, arms={"first": "none"}, adapter_hash="blind")
        world.feed(asked, answer, review(answer))
    assert ended(world) == []
    assert "reviewed sellers today 30, none 30" in world.conductor.status()


def test_one_seller_counts_once_however_often_they_review(tmp_path: Path) -> None:
    world = world_with(tmp_path, 0.2)
    for number in range(60):
        for arm, values in (("today", {"Colour": ["red"]}), ("other", {"Colour": ["blue"]})):
            world.now_ms += 1
            asked = request(f"{arm}{number}", seller_id=f"seller of {arm}")
            answer = prediction(asked, values=values, arms={"first": arm})
            world.feed(asked, answer, review(answer))
    assert ended(world) == []
    assert "reviewed sellers today 1, other 1" in world.conductor.status()


def test_sellers_of_before_a_restart_still_count(tmp_path: Path) -> None:
    world = world_with(tmp_path, 0.2)
    for _ in range(30):
        reviewed(world, "today", 1, RIGHT)
        reviewed(world, "other", 1, WRONG)
    world.reopen()
    assert len(ended(world)) == 1
