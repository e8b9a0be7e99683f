"""Tests for one look, beside scipy's and by repetition."""

from math import inf

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from streams.statistics.fixed_horizon import normal_test, ratio_delta, two_proportion_z

SHARES = [(883, 1000, 864, 1000), (5, 90, 40, 80), (0, 20, 3, 30)]


@pytest.mark.parametrize("shares", SHARES)
def test_the_z_test_is_the_root_of_the_chi_square_test(shares: tuple[int, int, int, int]) -> None:
    a, n, b, m = shares
    expected = chi2_contingency([[a, n - a], [b, m - b]], correction=False)
    found = two_proportion_z(*shares)
    assert found.z**2 == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.z > 0) == (a / n > b / m)


def test_equal_shares_without_spread_do_not_differ_and_unequal_ones_surely_do() -> None:
    assert two_proportion_z(5, 5, 7, 7).p_value == 1.0
    assert normal_test(-0.1, 0.0).z == -inf
    assert normal_test(-0.1, 0.0).p_value == 0.0


@pytest.mark.parametrize("wrong", [(3, 2, 1, 2), (1, 2, 0, 0), (-1, 2, 1, 2)])
def test_what_is_no_share_is_refused(wrong: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="is no share"):
        two_proportion_z(*wrong)


def test_the_delta_method_gives_the_spread_that_repetition_gives() -> None:
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(400):
        shown = rng.integers(1, 30, 200)
        found = ratio_delta(rng.binomial(shown, rng.beta(2, 2, 200)), shown)
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.1)


def test_sellers_who_do_the_same_with_all_values_are_not_taken_for_more_evidence() -> None:
    shown = np.full(100, 20)
    accepted = np.where(np.arange(100) % 2, 20, 0)
    assert ratio_delta(accepted, shown).error == pytest.approx(0.5 / np.sqrt(100), rel=0.01)
    assert ratio_delta(accepted, shown).bounds().low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.001)


@pytest.mark.parametrize("pair", [([1], [1]), ([1, 2], [1]), ([0, 0], [0, 0])])
def test_a_ratio_of_too_little_is_refused(pair: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="two sellers at least"):
        ratio_delta(*pair)
