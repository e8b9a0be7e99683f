"""Correctness from a few audited values: right on average, honest, and narrow where it can be."""

import numpy as np
import pytest

from streams.audit.errors import AuditError
from streams.audit.prediction_powered import Estimate, Judged, correctness, share_within, times


def stratum(
    right: list[float], score: list[float], values: int = 1000, mean: float = 0.5
) -> Judged:
    return Judged(values, mean, np.array(right, float), np.array(score, float))


def test_without_power_it_is_the_stratified_mean() -> None:
    strata = [stratum([1, 0], [0.5, 0.5], 3000), stratum([1, 1], [0.5, 0.5], 1000)]
    assert correctness(strata, power=0).value == pytest.approx(0.75 * 0.5 + 0.25)


def test_the_rectifier_takes_out_what_the_scores_have_wrong() -> None:
    # All scores are 0.3 too high, here and in the population.
    one = stratum([0.6, 0.5, 0.4, 0.5], [0.9, 0.8, 0.7, 0.8], mean=0.8)
    found = correctness([one])
    assert found.power == pytest.approx(1.0)
    assert found.value == pytest.approx(0.5)
    assert found.error == pytest.approx(0.0, abs=1e-9)


def test_scores_that_say_nothing_get_no_power() -> None:
    one = stratum([1, 0, 1, 0], [0.2, 0.2, 0.8, 0.8], mean=0.9)
    assert correctness([one]) == correctness([one], power=0)


def test_scores_upside_down_get_no_power_either() -> None:
    one = stratum([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9])
    assert correctness([one]).power == 0.0


def test_where_all_are_right_the_interval_is_still_an_interval() -> None:
    found = correctness([stratum([1] * 20, [0.9] * 20)])
    assert found.value == 1.0
    assert 0.75 < found.low < 0.9
    assert found.high == 1.0


def test_an_audit_of_all_values_has_no_error() -> None:
    found = correctness([stratum([1, 0, 1, 1], [0.5] * 4, values=4)])
    assert (found.low, found.value, found.high) == (0.75, 0.75, 0.75)


def test_strata_with_fewer_than_two_judged_values_join_their_neighbours() -> None:
    strata = [
        stratum([1], [0.1]),
        stratum([], []),
        stratum([1, 0], [0.5, 0.6]),
        stratum([1], [0.9]),
    ]
    assert correctness(strata, power=0).value == pytest.approx(0.75)


def test_fewer_than_two_judged_values_are_one_sentence() -> None:
    with pytest.raises(AuditError, match="fewer than two values are judged"):
        correctness([stratum([1], [0.5])])


def test_a_kind_of_value_has_its_own_share_by_the_weights_of_the_draw() -> None:
    strata = [stratum([1, 0], [0.5, 0.5], 900), stratum([1, 1], [0.5, 0.5], 100)]
    kinds = [np.array([False, True]), np.array([True, True])]
    found = share_within(strata, kinds)
    assert found is not None
    assert found.value == pytest.approx(100 / (450 + 100))
    assert share_within(strata, [np.array([False, False])] * 2) is None


def test_correct_completeness_is_the_product_with_both_errors() -> None:
    found = times(Estimate(0.5, 0, 1, 0.03, 0), Estimate(0.8, 0, 1, 0.04, 200))
    assert found.value == pytest.approx(0.4)
    assert found.error == pytest.approx(np.hypot(0.8 * 0.03, 0.5 * 0.04))
    assert found.low < 0.4 < found.high
