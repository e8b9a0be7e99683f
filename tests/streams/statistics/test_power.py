"""How many sellers a comparison needs."""

import numpy as np
import pytest

from streams.statistics.power import sellers_like, sellers_needed, sellers_with


def test_a_smaller_difference_needs_more_sellers() -> None:
    large = sellers_needed(sellers_with(0.5), sellers_with(0.3), runs=30, most=2000)
    small = sellers_needed(sellers_with(0.5), sellers_with(0.4), runs=30, most=2000)
    assert None not in (large.median, large.p90, small.median, small.p90)
    assert large.median < large.p90 < small.p90
    assert large.median < small.median
    assert large.decided == small.decided == 1.0


def test_arms_alike_need_more_sellers_than_there_are() -> None:
    found = sellers_needed(sellers_with(0.5), sellers_with(0.5), runs=30, most=300)
    assert (found.median, found.p90, found.treated_p90) == (None, None, None)
    assert found.decided <= 0.1


def test_a_canary_of_one_tenth_needs_few_sellers_of_its_own() -> None:
    found = sellers_needed(sellers_with(0.5), sellers_with(0.05), share=0.1, runs=30, most=600)
    assert None not in (found.treated_p90, found.p90)
    assert found.treated_p90 <= 20 < found.p90


def test_the_same_seed_gives_the_same_plan() -> None:
    first, second = (
        sellers_needed(sellers_with(0.5), sellers_with(0.2), runs=5, most=300) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("mean", [0.0, 0.05, 0.5, 1.0])
def test_made_up_sellers_have_their_mean(mean: float) -> None:
    numbers = sellers_with(mean)(np.random.default_rng(0), 20_000)
    assert numbers.mean() == pytest.approx(mean, abs=0.005)
    assert numbers.min() >= 0
    assert numbers.max() <= 1


def test_sellers_that_were_seen_stand_for_those_to_come() -> None:
    drawn = sellers_like([0.1, 0.9])(np.random.default_rng(0), 100)
    assert set(drawn.tolist()) == {0.1, 0.9}
    with pytest.raises(ValueError, match="no seller has been seen yet"):
        sellers_like([])
