"""Whether a goal is met, from counts that one can check by hand."""

import pytest

from infra.lab.experiment.figures import AnswerCounts, Sealed
from infra.lab.pictures.figures import READS, SEES, VIEWS, CatalogFigures
from infra.lab.pictures.goals import goals, minus, times

LISTINGS = 40


def counts(right: int) -> AnswerCounts:
    """An answer to each listing's one attribute; the first `right` listings' are right."""
    every = [1] * LISTINGS
    correct = [1] * right + [0] * (LISTINGS - right)
    return AnswerCounts(valid=every, suggested=every, right=correct, seconds=0.0)


def catalog(sees: dict[str, int], reads: int = 20, majority: int = 10) -> CatalogFigures:
    answers = {
        view: {
            SEES: [counts(sees[view])],
            READS: [counts(reads)],
            "majority": [counts(majority)],
            "nearest picture": [counts(12)],
            "nearest picture +": [counts(12)],
        }
        for view in VIEWS
    }
    every = [1] * LISTINGS
    return CatalogFigures(
        name="toy",
        products=LISTINGS,
        warnings=[],
        parts={},
        mix={},
        heldout={},
        test=Sealed(listing_ids=[str(n) for n in range(LISTINGS)], asked=every, labelled=every),
        answers=answers,
    )


def met(data: CatalogFigures) -> dict[str, bool]:
    return {goal.name: goal.met for goal in goals(data)}


def test_goals_that_are_reached_are_met() -> None:
    assert all(met(catalog({"text": 20, "image": 20, "text+image": 30})).values())


def test_half_as_much_again_as_the_majority_is_just_enough() -> None:
    name = "picture ≥ 1.5 × majority"
    assert met(catalog({"text": 20, "image": 15, "text+image": 30}))[name]
    assert not met(catalog({"text": 20, "image": 14, "text+image": 30}))[name]


def test_a_gain_that_may_be_luck_does_not_meet_a_goal_that_wants_to_be_sure() -> None:
    found = met(catalog({"text": 20, "image": 15, "text+image": 21}))
    assert not found["picture > nearest picture"]
    assert not found["both > text"]
    assert not found["both > text-only arm"]


def test_a_difference_is_paired_by_listing_and_the_ratio_has_an_interval() -> None:
    data = catalog({"text": 20, "image": 15, "text+image": 30})
    found = minus(data, ("text+image", SEES), ("text", SEES))["recall"]
    assert found.value == pytest.approx(0.25)
    assert 0 < found.low < 0.25 < found.high
    ratio = times(data, "image", SEES, "majority")
    assert ratio.value == pytest.approx(1.5)
    assert 1 < ratio.low < 1.5 < ratio.high


def test_a_baseline_without_seeds_stands_beside_each_of_them() -> None:
    data = catalog({"text": 20, "image": 15, "text+image": 30})
    for view in VIEWS:
        data.answers[view][SEES] = [counts(14), counts(16)]
    assert minus(data, ("image", SEES), ("image", "majority"))["recall"].value == pytest.approx(
        0.125
    )
