"""The sequential check for a sample ratio mismatch."""

import numpy as np
import pytest
from scipy.special import gammaln

from streams.statistics.srm import BETS, SampleRatioSequence


def check(share: float, sellers: int, seed: int) -> SampleRatioSequence:
    """Arms that should be alike, of which the first gets `share`."""
    sequence = SampleRatioSequence({"a": 1, "b": 1})
    for first in (np.random.default_rng(seed).random(sellers) < share).tolist():
        sequence.update("a" if first else "b")
    return sequence


def test_the_capital_is_the_bayes_factor_of_the_dirichlet_multinomial() -> None:
    shares = {"a": 0.2, "b": 0.3, "c": 0.5}
    sequence = SampleRatioSequence(shares)
    for arm in "a" * 90 + "b" * 10 + "c" * 20:
        sequence.update(arm)
    counts = np.array([90, 10, 20])
    expected = 0.0
    for strength, part in BETS.items():
        prior = strength * np.array(list(shares.values()))
        expected += part * np.exp(
            gammaln(prior + counts).sum() - gammaln((prior + counts).sum())
            - gammaln(prior).sum() + gammaln(prior.sum()) - (counts * np.log([0.2, 0.3, 0.5])).sum()
        )  # fmt: skip
    # It is lower at the end than after the 90 of the first arm; p keeps the best.
    assert 1 / sequence.p_value > expected
    assert sequence.wealth == pytest.approx(expected)
    assert sequence.counts == {"a": 90, "b": 10, "c": 20}


def test_fifty_two_to_forty_eight_is_found_by_ten_thousand_sellers() -> None:
    found = [check(0.52, 10_000, seed).mismatch() for seed in range(20)]
    assert np.mean(found) >= 0.8


def test_right_shares_are_called_wrong_in_at_most_five_percent_of_runs() -> None:
    assert np.mean([check(0.5, 3000, seed).mismatch() for seed in range(200)]) <= 0.05


def test_the_p_value_never_rises() -> None:
    sequence = SampleRatioSequence({"a": 9, "b": 1})
    before = sequence.p_value
    assert before == 1.0
    for arm in "b" * 20 + "a" * 300:
        sequence.update(arm)
        assert sequence.p_value <= before
        before = sequence.p_value
    assert before < 1.0


def test_an_arm_that_gets_nobody_is_found_in_some_twenty_sellers() -> None:
    sequence = SampleRatioSequence({"a": 1, "b": 1})
    while not sequence.mismatch(0.001):
        sequence.update("a")
    assert sequence.n <= 25


def test_shares_need_not_sum_to_one() -> None:
    small, large = (
        SampleRatioSequence({"a": 0.09, "b": 0.01}),
        SampleRatioSequence({"a": 90, "b": 10}),
    )
    for arm in "bbba":
        small.update(arm)
        large.update(arm)
    assert small.p_value == pytest.approx(large.p_value)


def test_an_unknown_arm_and_a_share_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="there is no arm 'c'; the arms are a, b"):
        SampleRatioSequence({"a": 1, "b": 1}).update("c")
    for shares in ({"a": 1.0}, {"a": 1.0, "b": 0.0}):
        with pytest.raises(ValueError, match="two arms at least"):
            SampleRatioSequence(shares)
