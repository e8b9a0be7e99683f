"""The alarm on a falling mean: when it is raised, and how seldom without a reason."""

import numpy as np
import pytest

from streams.statistics.drift import HOURS_A_YEAR, Floats, drop, evidence

LEAST = 0.8


def accepted(rng: np.random.Generator, count: int, mean: float) -> Floats:
    """Of five values each."""
    return rng.binomial(5, mean, count) / 5


def hourly(count: int, an_hour: int = 10) -> np.ndarray:
    return np.arange(count) // an_hour


def test_a_fall_of_ten_points_is_seen_within_400_reviews() -> None:
    rng = np.random.default_rng(0)
    before, after = accepted(rng, 2000, 0.82), accepted(rng, 400, 0.72)
    found = drop(np.concatenate([before, after]), hourly(2400), LEAST)
    assert found.raised_at is not None
    assert 2000 < found.raised_at <= 2400
    assert not drop(before, hourly(2000), LEAST).raised


def test_a_mean_that_is_just_good_alarms_no_more_than_once_a_year_on_average() -> None:
    rng = np.random.default_rng(1)
    years = [drop(accepted(rng, 8 * HOURS_A_YEAR, LEAST), hourly(8 * HOURS_A_YEAR, 8), LEAST)
             for _ in range(20)]  # fmt: skip
    assert sum(year.raised for year in years) <= 10


def test_a_good_time_before_does_not_delay_the_alarm() -> None:
    rng = np.random.default_rng(2)
    bad = accepted(rng, 400, 0.6)
    short = drop(np.concatenate([np.ones(100), bad]), hourly(500), LEAST).raised_at
    long = drop(np.concatenate([np.ones(20_000), bad]), hourly(20_400), LEAST).raised_at
    assert short is not None
    assert long is not None
    assert long - 20_000 <= short - 100 + 5


def test_the_money_of_all_gamblers_is_what_one_by_one_gives() -> None:
    rng = np.random.default_rng(3)
    shares, hours = accepted(rng, 30, 0.7), hourly(30, 4)
    money = {bet: 0.0 for bet in (0.25, 0.5, 1.0, 2.0)}
    expected = []
    for n, share in enumerate(shares):
        new = n == 0 or hours[n] != hours[n - 1]
        money = {bet: (all_ + new) * (1 + bet * (LEAST - share)) for bet, all_ in money.items()}
        expected.append(np.log(sum(money.values()) / 4))
    np.testing.assert_allclose(evidence(shares, hours, LEAST), expected, rtol=1e-9)


def test_one_hour_begins_one_suspicion_however_many_reviews_it_has() -> None:
    good = np.full(500, LEAST)  # bets on it neither win nor lose
    assert evidence(good, np.zeros(500, dtype=np.int64), LEAST)[-1] == pytest.approx(0.0)
    assert evidence(good, np.arange(500), LEAST)[-1] == pytest.approx(np.log(500))


def test_without_observations_or_with_nothing_to_fall_below_nothing_is_raised() -> None:
    assert not drop(np.array([]), np.array([], dtype=np.int64), LEAST).raised
    assert not drop(np.zeros(500), hourly(500), 0.0).raised
    assert not drop(np.zeros(500), hourly(500), -0.1).raised
