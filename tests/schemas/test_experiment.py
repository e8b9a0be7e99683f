"""Who is in which arm of an experiment."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from schemas.experiment import Arm, Experiment, Slice, place

CONTROL, NEW, BLIND = (
    Arm(name="control", answers="champion"),
    Arm(name="new", answers="adapter:a2", adapter_id="a2", adapter_hash="h", adapter_uri="file:a2"),
    Arm(name="blind", answers="blind"),
)
SELLERS = [f"seller-{number}" for number in range(20_000)]


def experiment(name: str = "test", **shares: float) -> Experiment:
    return Experiment(name=name, arms=(CONTROL, NEW, BLIND)).grown(shares)


def arms(running: Experiment, sellers: list[str] = SELLERS) -> list[str | None]:
    found = [running.arm_of(seller) for seller in sellers]
    return [arm and arm.name for arm in found]


def test_places_are_uniform() -> None:
    places = np.array([place("test", seller) for seller in SELLERS])
    assert places.min() >= 0
    assert places.max() < 1
    counts, _ = np.histogram(places, bins=20, range=(0, 1))
    # Chi-square with 19 degrees of freedom: above 43.8 once in a thousand.
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8


def test_each_arm_gets_its_share_and_the_rest_is_in_none() -> None:
    found = arms(experiment(control=0.5, new=0.3, blind=0.02))
    for name, share in {"control": 0.5, "new": 0.3, "blind": 0.02, None: 0.18}.items():
        assert found.count(name) / len(found) == pytest.approx(share, abs=0.015)


def test_a_place_is_the_same_in_every_process() -> None:
    """Golden values: another hash would move all sellers of running experiments."""
    assert place("test", "seller-1") == pytest.approx(0.29104482748303095, abs=1e-15)
    assert place("canary:a2", "Müller\udcff") == pytest.approx(0.5565830297672834, abs=1e-15)


def test_nobody_changes_arms_when_shares_grow() -> None:
    running = experiment(control=0.05, new=0.01)
    before = arms(running)
    steps: list[dict[str, float]] = [
        {"new": 0.02},
        {"new": 0.1, "blind": 0.02},
        {"control": 0.4},
        {"control": 0.45, "new": 0.3, "blind": 0.05},
        {"control": 0.65},
    ]
    for shares in steps:
        running = running.grown(shares)
        after = arms(running)
        assert all(old in (None, new) for old, new in zip(before, after, strict=True))
        assert after != before
        before = after
    assert None not in before
    assert running.shares() == pytest.approx({"control": 0.65, "new": 0.3, "blind": 0.05})


def test_the_same_shares_again_change_nothing() -> None:
    running = experiment(control=0.5, new=0.3)
    assert running.grown({"control": 0.5, "new": 0.3}) == running
    assert running.grown({}) == running


def test_another_experiment_divides_the_same_sellers_anew() -> None:
    first = arms(experiment("first", control=0.5, new=0.5))
    second = arms(experiment("second", control=0.5, new=0.5))
    both = sum(a == b for a, b in zip(first, second, strict=True))
    assert both / len(SELLERS) == pytest.approx(0.5, abs=0.02)


def test_a_seller_at_an_edge_is_in_one_arm() -> None:
    running = Experiment(
        name="test",
        arms=(CONTROL, NEW),
        slices=(
            Slice(arm="control", start=0.0, end=place("test", "s")),
            Slice(arm="new", start=place("test", "s"), end=1.0),
        ),
    )
    assert running.arm_of("s") == NEW


def test_an_arm_without_a_share_has_no_seller() -> None:
    assert set(arms(experiment(control=1.0))) == {"control"}
    assert set(arms(Experiment(name="test", arms=(CONTROL,)))) == {None}


def test_a_share_that_falls_is_refused_with_what_to_do() -> None:
    with pytest.raises(
        ValueError,
        match=r"the share of arm 'new' would fall from 0\.3 to 0\.2, and sellers would change "
        "arms; begin an experiment of another name",
    ):
        experiment(control=0.5, new=0.3).grown({"new": 0.2})


@pytest.mark.parametrize("shares", [{"new": 0.6}, {"control": 0.6, "new": 0.5}])
def test_shares_of_more_than_all_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="the shares of experiment 'test' are more than 1 in all"):
        experiment(control=0.5).grown(shares)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"arms": [CONTROL, CONTROL]}, "two arms have one name; give each its own"),
        ({"slices": [Slice(arm="gone", start=0, end=1)]}, "a slice names the arm 'gone'"),
        (
            {
                "slices": [
                    Slice(arm="control", start=0, end=0.6),
                    Slice(arm="new", start=0.5, end=1),
                ]
            },
            "two slices overlap; a seller would be in two arms",
        ),
        ({"arms": []}, "at least 1 item"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused(wrong: dict[str, list], sentence: str) -> None:
    content = {"name": "test", "arms": (CONTROL, NEW), "slices": ()} | {
        key: tuple(value) for key, value in wrong.items()
    }
    with pytest.raises(ValidationError, match=sentence):
        Experiment(**content)


@pytest.mark.parametrize("answers", ["", "gpt", "adapter:", "adapter", "Champion"])
def test_an_arm_that_nothing_answers_is_refused(answers: str) -> None:
    with pytest.raises(ValidationError, match="String should match pattern"):
        Arm(name="a", answers=answers)


def test_the_first_arm_is_the_control_and_a_canary_is_told_by_its_name() -> None:
    assert experiment().control == CONTROL
    assert not experiment().is_canary
    assert Experiment(name="canary:a2", arms=(CONTROL, NEW)).is_canary


def test_an_experiment_comes_back_from_the_log_as_it_was() -> None:
    running = experiment(control=1 / 3, new=0.1, blind=0.02).grown({"new": 0.3})
    assert Experiment.model_validate_json(running.model_dump_json()) == running


def test_fields_of_a_later_version_are_ignored() -> None:
    content = json.loads(experiment(control=0.5).model_dump_json()) | {"later": 1}
    content["arms"][0]["later"] = 1
    assert Experiment.model_validate_json(json.dumps(content)) == experiment(control=0.5)
