"""What has changed on live traffic, as the pool's views tell it."""

from itertools import chain
from typing import Any

import pytest

from schemas.events import ModelEventKind, Purpose
from schemas.experiment import Arm, Experiment
from tests.streams.world import DAY_MS, SUBMITTED, World, prediction, promoted, request, review


def traffic(
    world: World,
    prefix: str,
    count: int,
    filled: int = 2,
    submitted: Any = SUBMITTED,
    asked: Any = None,
    **answer: Any,
) -> None:
    """`count` listings that were asked, answered and reviewed."""
    ways = []
    for number in range(count):
        wish = request(f"{prefix}{number}", **(asked or {}))
        given = prediction(wish, filled, **answer)
        ways.append((wish, given, review(given, submitted=submitted)))
    world.feed(*chain.from_iterable(ways))


def drift(world: World) -> dict[str, tuple[Any, ...]]:
    columns = "signal, reference, now, effect, n_reference, n_now, remark"
    found = world.rows(f"SELECT {columns} FROM drift")
    return {signal: tuple(row) for signal, *row in found}


def test_the_newest_hours_are_compared_with_those_before_by_record_time(world: World) -> None:
    traffic(world, "gone", 7)  # before both
    world.now_ms += 8 * DAY_MS
    traffic(world, "old", 120, filled=4)
    world.now_ms += 2 * DAY_MS
    traffic(world, "new", 110, filled=1)
    found = drift(world)
    assert found["completeness"][:5] == (1.0, 0.25, -0.75, 480, 440)
    assert found["abstained"][:3] == (0.0, 0.75, 0.75)
    assert found["completeness"][5] == ""


def test_traffic_that_stays_as_it_was_has_no_effect(world: World) -> None:
    traffic(world, "old", 100, confidence={"Colour": 0.9, "Height": 0.5})
    world.now_ms += 2 * DAY_MS
    traffic(world, "new", 100, confidence={"Colour": 0.9, "Height": 0.5})
    effects = {signal: row[2] for signal, row in drift(world).items()}
    assert effects == pytest.approx(dict.fromkeys(effects, 0.0))
    assert len(effects) == 9


def test_a_distance_is_1_where_nothing_is_as_it_was_and_by_hand_between(world: World) -> None:
    traffic(world, "old", 100, confidence={"Colour": 0.9, "Height": 0.9})
    world.now_ms += 2 * DAY_MS
    traffic(world, "new", 50, asked={"category": "Chairs", "description": "x" * 4000},
            confidence={"Colour": 0.9, "Height": 0.1})  # fmt: skip
    found = drift(world)
    assert found["category"][2] == pytest.approx(1.0)
    assert found["text length"][2] == pytest.approx(1.0)
    # P = (1, 0), Q = (1/2, 1/2): the divergence is 1/2 log2(4/3) + 1/4 log2(2/3) + 1/4 log2 2.
    assert found["confidence"][2] == pytest.approx(0.31127812**0.5)


def test_what_the_confidence_promises_is_held_against_what_sellers_take(world: World) -> None:
    sure = {"Colour": 0.9, "Height": 0.9, "Style": 0.1}  # of Style nothing was suggested
    traffic(world, "old", 100, confidence=sure)
    world.now_ms += 2 * DAY_MS
    traffic(world, "new", 100, confidence=sure, submitted={**SUBMITTED, "Colour": ["blue"]})
    found = drift(world)
    assert found["acceptance"][:3] == (1.0, 0.5, -0.5)
    assert found["overconfidence"][:3] == pytest.approx((-0.1, 0.4, 0.5))
    assert world.rows("SELECT acceptance, expected_precision FROM drift_outputs") == [
        (1.0, pytest.approx(0.9)),
        (0.5, pytest.approx(0.9)),
    ]


def test_refused_and_new_values_are_counted_by_category(world: World) -> None:
    traffic(world, "old", 100)
    world.now_ms += 2 * DAY_MS
    traffic(world, "new", 100, submitted={**SUBMITTED, "Colour": ["turquoise"]})
    found = drift(world)
    assert found["refused"][:3] == (0.0, 0.25, 0.25)
    assert found["new values"][1:3] == (1.0, 1.0)
    assert world.rows("FROM drift_labels") == [
        ("reference", "Lamps", 100, 400, 0, 0.0, None, None),
        ("now", "Lamps", 100, 400, 100, 0.25, 100, 100),
    ]


def test_answers_of_an_arm_count_only_where_the_champion_gave_them(world: World) -> None:
    adapter = {"adapter_id": "other", "adapter_hash": "0" * 64}
    traffic(world, "plain", 3)
    traffic(world, "control", 4, arms={"trial": "champion"})
    traffic(world, "arm", 5, arms={"trial": "other"}, **adapter)
    traffic(world, "hidden", 6, arms={"trial": "none"}, adapter_id="blind", adapter_hash="blind")
    traffic(world, "again", 7, purpose=Purpose.BACKFILL)
    assert world.rows("SELECT adapter_id, answers FROM drift_outputs") == [("base", 7)]


def test_after_a_promotion_the_champion_of_before_still_counts_in_its_arm(world: World) -> None:
    own = Arm(name="today", answers="champion"), Arm(name="other", answers="example")
    trial = Experiment(name="trial", arms=own)
    world.say(ModelEventKind.EXPERIMENT_STARTED, experiment=trial)
    traffic(world, "control", 4, arms={"trial": "today"})
    traffic(world, "arm", 5, arms={"trial": "other"}, adapter_id="base+example",
            adapter_hash="base+example")  # fmt: skip
    traffic(world, "stand-in", 6, arms={"trial": "other"}, fell_back="it is away")
    promoted(world)
    assert world.rows("SELECT adapter_id, answers FROM drift_outputs") == [("base", 15)]


def test_too_few_and_another_adapter_are_remarked(world: World) -> None:
    traffic(world, "old", 3)
    adapter = promoted(world)
    world.now_ms += 2 * DAY_MS
    traffic(world, "new", 3, adapter_id="default-r1-a1", adapter_hash=adapter)
    assert drift(world)["completeness"][5] == "too few to tell; other adapters"
    assert drift(world)["category"][5] == "too few to tell"


def test_the_hours_are_set(tmp_path: Any) -> None:
    world = World(tmp_path, drift={"window_hours": 1.0, "reference_hours": 1.0})
    traffic(world, "gone", 5)
    world.now_ms += 3_600_000
    traffic(world, "old", 6)
    world.now_ms += 3_600_000
    traffic(world, "new", 7)
    assert world.rows("SELECT period, answers FROM drift_outputs") == [("reference", 6), ("now", 7)]
    world.pool.close()


def test_an_empty_pool_says_that_there_is_too_little(world: World) -> None:
    assert {row[5] for row in drift(world).values()} == {"too few to tell"}


def test_text_lengths_are_binned_by_half_octaves(world: World) -> None:
    traffic(world, "a", 1, asked={"title": "x" * 70, "description": ""})
    traffic(world, "b", 1, asked={"title": "x" * 1000, "description": "y" * 1000})
    assert world.rows("SELECT bin, now FROM drift_inputs WHERE signal = 'text length'") == [
        ("64+", 1),
        ("1448+", 1),
    ]
