"""Betting sequences. `ville` is an independent implementation of the same papers."""

from itertools import pairwise

import numpy as np
import pytest
import ville

from streams.statistics.betting import (
    LOOKS_A_YEAR,
    TRUNCATION,
    BettingDifference,
    BettingMean,
    Bounds,
    DropAlarm,
)
from streams.statistics.power import sellers_with

USUAL, HARMFUL, WORSE = sellers_with(0.5), sellers_with(0.05), sellers_with(0.4)


def mean_of(numbers: np.ndarray, alpha: float = 0.05) -> BettingMean:
    sequence = BettingMean(alpha)
    for x in numbers:
        sequence.update(float(x))
    return sequence


def difference(share: float, sellers: int, treated: object, seed: int) -> BettingDifference:
    rng = np.random.default_rng(seed)
    arms = rng.random(sellers) < share
    numbers = np.where(arms, treated(rng, sellers), USUAL(rng, sellers))  # type: ignore[operator]
    return BettingDifference.over(zip(arms.tolist(), numbers.tolist(), strict=True))


@pytest.mark.parametrize("mean", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_the_bounds_are_those_of_another_implementation(mean: float, seed: int) -> None:
    x = sellers_with(mean)(np.random.default_rng(seed), 300)
    grid = 4000
    oracle = ville.BettingCS(alpha=0.05, c=TRUNCATION, grid=grid).fit(x)
    for n in (1, 10, 300):
        found = mean_of(x[:n]).bounds
        # The oracle rounds outwards, to the neighbour on its grid.
        assert oracle.lower_[n - 1] <= found.low + 1e-9 <= oracle.lower_[n - 1] + 2.1 / grid
        assert oracle.upper_[n - 1] >= found.high - 1e-9 >= oracle.upper_[n - 1] - 2.1 / grid


def test_before_the_first_number_everything_is_possible() -> None:
    assert BettingMean().bounds == Bounds(0.0, 1.0)
    assert BettingDifference().bounds == Bounds(-1.0, 1.0)
    assert BettingMean().refuted_at(0.5) is None


def test_the_bounds_never_widen() -> None:
    x = USUAL(np.random.default_rng(0), 100)
    looks = [mean_of(x[:n]).bounds for n in range(101)]
    assert all(a.low <= b.low and a.high >= b.high for a, b in pairwise(looks))


def test_what_is_refuted_lies_outside_the_bounds_from_that_look_on() -> None:
    x = USUAL(np.random.default_rng(1), 200)
    look = mean_of(x).refuted_at(0.3)
    assert look is not None
    assert mean_of(x[: look - 1]).bounds.low < 0.3 <= mean_of(x[:look]).bounds.low


def test_numbers_of_any_range_are_bounded_in_it() -> None:
    x = USUAL(np.random.default_rng(2), 50)
    wide = BettingMean(low=-0.25, high=1.0)
    for number in x:
        wide.update(1.25 * float(number) - 0.25)
    plain = mean_of(x).bounds
    assert wide.bounds.low == pytest.approx(1.25 * plain.low - 0.25)
    assert wide.bounds.high == pytest.approx(1.25 * plain.high - 0.25)


@pytest.mark.parametrize("x", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_number_outside_its_range_is_refused(x: float) -> None:
    with pytest.raises(ValueError, match="is not from 0 to 1"):
        BettingMean().update(x)
    with pytest.raises(ValueError, match="is not from 0 to 1"):
        BettingDifference().update(True, x)
    with pytest.raises(ValueError, match="is not from 0 to 1"):
        DropAlarm(0.5).update(x)


def test_a_mean_that_drifts_past_its_own_bounds_leaves_a_gap_that_refutes_neither() -> None:
    sequence = mean_of(np.concatenate([np.zeros(200), np.ones(2000)]))
    high = mean_of(np.zeros(200)).bounds.high
    assert sequence.bounds.low == pytest.approx(high, abs=1e-6)
    assert sequence.bounds.high > high


def test_two_arms_alike_are_called_different_in_at_most_five_percent_of_runs() -> None:
    for share in (0.1, 0.5):
        wrong = sum(
            difference(share, 1000, USUAL, seed).refuted_at(0.0) is not None for seed in range(400)
        )
        assert wrong / 400 <= 0.05


def test_a_harmful_canary_is_found_by_twenty_of_its_sellers_in_nine_of_ten_runs() -> None:
    found = [difference(0.1, 600, HARMFUL, seed).refuted_at(0.0) for seed in range(60)]
    assert np.percentile([look[0] for look in found if look], 90) <= 20
    assert None not in found


def test_a_mildly_worse_canary_is_found_in_some_hundred_sellers() -> None:
    found = [difference(0.1, 4000, WORSE, seed).refuted_at(0.0) for seed in range(30)]
    assert None not in found
    assert np.percentile([look[0] for look in found if look], 90) <= 300


def test_who_pairs_with_whom_follows_from_arms_and_order_alone() -> None:
    arms = (np.random.default_rng(0).random(500) < 0.1).tolist()
    low, high = BettingDifference(), BettingDifference()
    for treated in arms:
        low.update(treated, 0.0)
        high.update(treated, 1.0)
        assert (low.pairs, low.treated_n, low.control_n) == (
            high.pairs, high.treated_n, high.control_n,
        )  # fmt: skip


def test_a_pair_is_the_mean_of_those_that_waited_against_the_other_arm() -> None:
    by_pairs, by_hand = BettingDifference(), BettingMean(low=-1.0)
    for treated, x in [(False, 0.2), (False, 0.6), (True, 0.5), (True, 1.0), (False, 0.0)]:
        by_pairs.update(treated, x)
    by_hand.update(0.5 - 0.4)
    by_hand.update(1.0 - 0.0)
    assert by_pairs.bounds == by_hand.bounds
    assert (by_pairs.pairs, by_pairs.treated_n, by_pairs.control_n) == (2, 2, 3)


def test_a_drop_that_all_sellers_share_makes_no_difference() -> None:
    """Controls are compared at the same time: from .7 to .3 in the middle, alike in both arms."""
    wrong = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        arms = rng.random(1000) < 0.1
        x = np.concatenate([sellers_with(0.7)(rng, 500), sellers_with(0.3)(rng, 500)])
        sequence = BettingDifference.over(zip(arms.tolist(), x.tolist(), strict=True))
        wrong += sequence.refuted_at(0.0) is not None
    assert wrong <= 4


def test_a_steady_time_raises_no_alarm_and_a_drop_of_ten_points_does() -> None:
    rng = np.random.default_rng(0)
    alarm = DropAlarm(0.5)
    for x in USUAL(rng, 3000):
        alarm.update(float(x))
        assert not alarm.look()
    assert alarm.wealth >= 1  # a look lets the bets begin anew
    reviews = 0
    for x in WORSE(rng, 3000):
        alarm.update(float(x))
        reviews += 1
        if alarm.look():
            break
    assert reviews <= 400
    assert alarm.wealth >= LOOKS_A_YEAR


def test_a_raised_alarm_stays_raised() -> None:
    alarm = DropAlarm(0.5)
    for _ in range(40):
        alarm.update(0.0)
    assert alarm.raised
    for _ in range(200):
        alarm.update(1.0)
    assert alarm.look()


def test_within_its_tolerance_a_drop_raises_no_alarm() -> None:
    """A mean at the edge, looked at once every ten numbers for 600 looks, forty times."""
    raised = 0
    for seed in range(40):
        alarm, rng = DropAlarm(0.5, tolerance=0.03, error=1 / 6000), np.random.default_rng(seed)
        for number, x in enumerate(sellers_with(0.47)(rng, 6000)):
            alarm.update(float(x))
            if number % 10 == 9:
                alarm.look()
        raised += alarm.raised
    assert raised <= 8  # 600 looks at one false alarm in 6,000: 4 of 40 on average, at most


@pytest.mark.parametrize("wrong", [{"tolerance": 0.2}, {"error": 0.0}, {"error": 1.0}])
def test_an_alarm_that_cannot_be_kept_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a drop must be above its tolerance"):
        DropAlarm(0.5, **wrong)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_an_error_of_none_or_all_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie between 0 and 1"):
        BettingMean(alpha)
