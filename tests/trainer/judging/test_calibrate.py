"""Curves and thresholds against their definitions, tried out in full on small sets of examples."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import pytest

from schemas.category import AttributeType
from schemas.events import Mode
from serving.calibration import MAX_STEPS, NEVER, POOLED, abstain_below
from tests.builders import make_rows
from tests.trainer.judging.test_evaluate import answer
from trainer.data.dataset import Row
from trainer.judging.calibrate import (
    MIN_EXAMPLES,
    Block,
    Suggestion,
    by_confidence,
    calibrate,
    isotonic,
    lowest_threshold,
    precision_bound,
    suggestions,
)
from trainer.judging.intervals import ONE_SIDED_Z

ENUM, NUMBER = AttributeType.ENUM, AttributeType.NUMBER


def examples(count: int, seed: int = 0, kind: AttributeType = ENUM) -> list[Suggestion]:
    """Suggestions that are right as often as they are sure of themselves; some equally sure."""
    rng = random.Random(seed)
    sure = [round(rng.random(), 2) for _ in range(count)]
    return [Suggestion(kind, confidence, rng.random() < confidence) for confidence in sure]


def every_split(blocks: Sequence[Block]) -> Iterator[list[Block]]:
    """`blocks` joined into runs of neighbours, in every way there is."""
    for cuts in range(len(blocks)):
        for chosen in combinations(range(1, len(blocks)), cuts):
            bounds = [0, *chosen, len(blocks)]
            yield [
                Block(
                    blocks[low].start,
                    sum(block.right for block in blocks[low:high]),
                    sum(block.count for block in blocks[low:high]),
                )
                for low, high in pairwise(bounds)
            ]


def squared_error(fit: Sequence[Block]) -> float:
    """Of right (1) or wrong (0) against the probability of the block that an example is in."""
    return sum(block.right * (1 - block.probability) for block in fit)


@pytest.mark.parametrize("seed", range(40))
def test_the_curve_is_the_best_of_all_that_never_fall(seed: int) -> None:
    blocks = by_confidence(examples(11, seed))
    fitted = isotonic(blocks)
    rising = [
        split
        for split in every_split(blocks)
        if all(low.probability <= high.probability for low, high in pairwise(split))
    ]
    assert all(low.probability < high.probability for low, high in pairwise(fitted))
    assert squared_error(fitted) == pytest.approx(min(map(squared_error, rising)), abs=1e-12)
    assert fitted in rising


def test_equally_sure_examples_are_one_block() -> None:
    equal = [Suggestion(ENUM, 0.5, right) for right in (True, False, True)]
    assert by_confidence([*equal, Suggestion(ENUM, 0.2, True)]) == [
        Block(0.2, 1, 1),
        Block(0.5, 2, 3),
    ]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("target", [0.3, 0.6, 0.8, 0.99])
def test_the_threshold_is_the_lowest_that_surely_reaches_the_target(
    seed: int, target: float
) -> None:
    given = examples(80, seed)
    reaching = []
    for threshold in {example.confidence for example in given}:
        kept = [example.right for example in given if example.confidence >= threshold]
        if precision_bound(sum(kept), len(kept)) >= target:
            reaching.append(threshold)
    assert lowest_threshold(by_confidence(given), target) == min(reaching, default=None)


@pytest.mark.parametrize(("right", "count"), [(0, 4), (1, 1), (3, 8), (50, 50), (81, 90)])
def test_the_bound_is_the_precision_from_which_so_many_right_are_a_rare_surprise(
    right: int, count: int
) -> None:
    bound = precision_bound(right, count)
    assert 0 <= bound <= right / count
    deviation = (bound * (1 - bound) / count) ** 0.5
    assert right / count - bound == pytest.approx(ONE_SIDED_Z * deviation, abs=1e-9)


@pytest.mark.parametrize(
    ("right", "count", "lower"), [(81, 263, 0.2553), (15, 148, 0.0624), (0, 20, 0), (1, 29, 0.0061)]
)
def test_the_bound_agrees_with_a_published_table(
    right: int, count: int, lower: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    monkeypatch.setattr("trainer.judging.calibrate.ONE_SIDED_Z", 1.95996)
    assert precision_bound(right, count) == pytest.approx(lower, abs=5e-5)


def test_a_kind_has_a_curve_of_its_own_from_fifty_examples_on() -> None:
    given = [*examples(MIN_EXAMPLES), *examples(MIN_EXAMPLES - 1, 1, NUMBER)]
    made = calibrate({Mode.FREE: given, Mode.CONSTRAINED: given[:10]}, 0.25)
    found = {(curve.mode, curve.kind): curve.examples for curve in made.curves}
    assert found == {
        (Mode.FREE, POOLED): 2 * MIN_EXAMPLES - 1,
        (Mode.FREE, ENUM): MIN_EXAMPLES,
        (Mode.CONSTRAINED, POOLED): 10,
    }


def test_a_target_of_zero_gives_curves_without_thresholds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = calibrate({Mode.FREE: examples(60)}, 0.25, target_precision=0.0)
    assert made.curves
    assert all(curve.threshold is None for curve in made.curves)
    assert not caplog.text


@pytest.mark.parametrize("target", [None, 0.8])
def test_a_kind_that_is_never_sure_enough_abstains_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture, target: float | None
) -> None:
    wrong = [Suggestion(ENUM, 0.9, False)] * 10
    made = calibrate({Mode.CONSTRAINED: wrong}, 0.25, target)
    assert made.threshold(Mode.CONSTRAINED, ENUM) == NEVER
    assert abstain_below(made, Mode.CONSTRAINED, ENUM, 0.0) > 1
    assert abstain_below(made, Mode.FREE, ENUM, 0.0) == 0
    assert "no answer of kind * is sure enough in constrained mode (10 examples)" in caplog.text


@pytest.mark.parametrize("cost", [0.0, 0.25, 1.0, 3.0])
def test_an_answer_is_suggested_from_the_probability_on_that_is_worth_its_cost(cost: float) -> None:
    given = examples(400, seed=2)
    (curve, _) = calibrate({Mode.CONSTRAINED: given}, cost).curves
    assert curve.threshold is not None
    for step in range(101):
        probability = curve.probability(step / 100)
        worth = probability - cost * (1 - probability)
        assert (step / 100 >= curve.threshold) == (worth >= -1e-9)


def test_where_every_answer_is_worth_it_none_is_held_back() -> None:
    right = [Suggestion(ENUM, confidence, True) for confidence in (0.3, 0.6, 0.9)]
    made = calibrate({Mode.CONSTRAINED: right}, 0.25)
    assert made.threshold(Mode.CONSTRAINED, ENUM) == 0.0
    assert made.least_probability == pytest.approx(0.2)


def test_without_an_example_there_is_no_curve_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert calibrate({Mode.FREE: []}, 0.25).curves == ()
    assert "no suggestion in free mode" in caplog.text


def test_a_curve_stays_small_however_many_examples_it_has() -> None:
    # The more of them the surer: each a little more often right, so that no two are pooled.
    rising = [
        Suggestion(ENUM, step / 100, right)
        for step in range(100)
        for right in [True] * step + [False] * (100 - step)
    ]
    assert len(isotonic(by_confidence(rising))) == 100
    (curve, _) = calibrate({Mode.FREE: rising}, 0.25).curves
    assert MAX_STEPS / 2 < len(curve.starts) <= MAX_STEPS
    assert curve.probability(0.5) == pytest.approx(0.5, abs=0.04)


def test_the_same_examples_in_any_order_give_the_same_calibration() -> None:
    given = examples(200)
    shuffled = random.Random(1).sample(given, len(given))
    assert calibrate({Mode.FREE: given}, 0.25) == calibrate({Mode.FREE: shuffled}, 0.25)


def test_only_suggestions_on_which_the_catalog_has_a_value_are_examples() -> None:
    made = make_rows(1)[0]
    row = Row(made.listing, made.attributes, {"colour": ["red"], "material": ["wood"]})
    told = {"colour": 0.9, "material": 0.8, "washable": 0.7, "weight": 0.6, "uses": 1.0000001}
    given = replace(
        answer({"colour": ["red"], "material": ["steel"], "washable": ["yes"]}, weight="heavy"),
        confidence=told,
    )
    assert suggestions(row, given) == [
        Suggestion(ENUM, 0.9, True),
        Suggestion(ENUM, 0.8, False),
    ]
    sure = replace(row, values={"uses": ["tea"]})
    (example,) = suggestions(sure, replace(given, values={"uses": ["tea"]}))
    assert example.confidence == 1.0
