"""The gate's table of cases."""

import random

import pytest

from serving.settings import ServingSettings
from trainer.errors import TrainingError
from trainer.evaluate import Evaluation, EvaluationKey, ListingScore
from trainer.gate import decide
from trainer.results import Verdict

ASKED = 20


def evaluation(
    valid: float, right: float, listings: int = 32, seed: int = 0, suggested: float | None = None
) -> Evaluation:
    """Listings of 20 attributes, 12 of them labelled, with these shares on average.

    `suggested` is the share of the labelled ones with a suggestion, `right` that of the right ones
    among the labelled.
    """
    rng = random.Random(seed)
    scores = []
    for number in range(listings):
        said = sum(rng.random() < (valid if suggested is None else suggested) for _ in range(12))
        hits = min(said, sum(rng.random() < right for _ in range(12)))
        scores.append(
            ListingScore(
                listing_id=f"l{number}",
                asked=ASKED,
                valid=max(said, round(valid * ASKED)),
                labelled=12,
                suggested=said,
                right=hits,
                seconds=1.0,
                values={},
                invalid={},
            )
        )
    key = EvaluationKey.of("a" * 64, "b" * 64, "c" * 64, ServingSettings())
    return Evaluation(key=key, adapter_id="x", listings=scores, seconds=1.0)


def test_better_in_everything_is_promoted() -> None:
    decision = decide(evaluation(0.2, 0.1), evaluation(0.8, 0.5, seed=1), margin=0.02)
    assert decision.kind is Verdict.PROMOTE
    assert "completeness +0.597" in decision.reason
    assert decision.needed_listings is None


def test_clearly_worse_in_one_is_rejected_however_good_the_others() -> None:
    fuller_but_wrong = evaluation(0.9, 0.1, seed=1)
    decision = decide(evaluation(0.5, 0.4), fuller_but_wrong, margin=0.02)
    assert decision.kind is Verdict.REJECT
    assert "precision" in decision.reason


def test_the_same_is_rejected_since_nothing_is_better() -> None:
    same = evaluation(0.5, 0.3)
    decision = decide(same, same, margin=0.02)
    assert decision.kind is Verdict.REJECT
    assert "none is better" in decision.reason


def test_a_little_better_on_few_listings_is_inconclusive() -> None:
    decision = decide(
        evaluation(0.80, 0.50, listings=8), evaluation(0.85, 0.55, listings=8, seed=1), 0.02
    )
    assert decision.kind is Verdict.INCONCLUSIVE
    assert decision.needed_listings is not None
    assert decision.needed_listings > 8
    assert f"needs {decision.needed_listings} listings" in decision.reason


def test_the_listings_it_asks_for_about_settle_it() -> None:
    few = decide(
        evaluation(0.80, 0.50, listings=40), evaluation(0.84, 0.54, listings=40, seed=1), 0.05
    )
    assert few.kind is Verdict.INCONCLUSIVE
    assert few.needed_listings is not None
    assert few.needed_listings < 4000
    many = decide(
        evaluation(0.80, 0.50, listings=2000), evaluation(0.84, 0.54, listings=2000, seed=1), 0.05
    )
    assert many.kind is Verdict.PROMOTE


def test_a_wider_margin_lets_a_noisy_gain_pass() -> None:
    before, after = evaluation(0.78, 0.50), evaluation(0.84, 0.56, seed=1)
    assert decide(before, after, margin=0.0).kind is Verdict.INCONCLUSIVE
    assert decide(before, after, margin=0.2).kind is Verdict.PROMOTE


def test_against_a_parent_that_says_nothing_any_precision_is_a_gain() -> None:
    decision = decide(evaluation(0.0, 0.0), evaluation(0.5, 0.2, seed=1), margin=0.02)
    assert decision.kind is Verdict.PROMOTE
    assert decision.differences["precision"].lower > 0


def test_a_candidate_that_falls_silent_is_rejected() -> None:
    assert decide(evaluation(0.5, 0.3), evaluation(0.0, 0.0), 0.02).kind is Verdict.REJECT


def test_the_comparison_is_paired() -> None:
    """Listings differ much, the candidate adds one right value to each: paired, that is sure."""
    before = evaluation(0.5, 0.3)
    better = [
        score.model_copy(
            update={
                "valid": score.valid + 1,
                "suggested": score.suggested + 1,
                "right": score.right + 1,
            }
        )
        for score in before.listings
    ]
    decision = decide(before, before.model_copy(update={"listings": better}), margin=0.0)
    assert decision.kind is Verdict.PROMOTE
    assert decision.differences["completeness"].error == pytest.approx(0, abs=1e-9)


def test_the_same_seed_decides_the_same() -> None:
    before, after = evaluation(0.78, 0.50), evaluation(0.84, 0.56, seed=1)
    assert decide(before, after, 0.05, seed=3) == decide(before, after, 0.05, seed=3)
    assert decide(before, after, 0.05, seed=3) != decide(before, after, 0.05, seed=4)


def test_other_listings_cannot_be_compared() -> None:
    with pytest.raises(TrainingError, match="different listings"):
        decide(evaluation(0.5, 0.3, listings=4), evaluation(0.5, 0.3, listings=5), 0.02)
