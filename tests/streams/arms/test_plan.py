"""How many sellers an experiment needs, before it starts."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from streams.arms.observed import ArmsError
from streams.arms.plan import Seen, assumed_sellers, changed, observed_sellers, plan, seen

SHARES = {"today": 0.5, "new": 0.25, "none": 0.02}
BEGAN = datetime(2026, 11, 1)


def needed(difference: float, **changes: Any) -> dict[str, int | None]:
    sellers = changes.pop("sellers", assumed_sellers(0.5, 0.15, 10))
    given = {"sellers_a_day": None, "most": 4_000, "runs": 20, **changes}
    made = plan(sellers, SHARES, difference, **given)
    return {one.arm: one.needed.median for one in made}


def test_a_smaller_difference_needs_more_sellers_and_so_does_a_smaller_arm() -> None:
    large, small = needed(0.3), needed(0.15)
    assert large["new"] is not None
    assert small["new"] is not None
    assert large["none"] is not None
    assert large["new"] < small["new"]
    assert large["new"] < large["none"]


def test_one_that_is_never_decided_says_so() -> None:
    assert needed(0.01, most=100)["none"] is None


def test_days_follow_from_the_traffic_that_both_arms_get() -> None:
    [new, _] = plan(assumed_sellers(0.5, 0.15, 10), SHARES, 0.3, 100.0, 4_000, 20)
    assert new.needed.median is not None
    assert new.days_median == pytest.approx(new.needed.median / 75)


def test_each_simulated_experiment_is_told_to_the_progress_bar() -> None:
    ticks: list[None] = []
    needed(0.3, runs=5, tick=lambda: ticks.append(None))
    assert len(ticks) == 10


@pytest.mark.parametrize("difference", [0.2, -0.2])
def test_a_change_moves_the_mean_by_just_that_and_nobody_out_of_the_range(
    difference: float,
) -> None:
    sellers = observed_sellers(Seen([0.0, 0.2, 0.4, 1.0] * 10, None))
    moved = changed(sellers, difference, 0.4)(np.random.default_rng(1), 20_000)
    assert moved.mean() == pytest.approx(0.4 + difference, abs=0.01)
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_there_is_no_plan_for_more_than_all_or_on_too_few_sellers() -> None:
    with pytest.raises(ArmsError, match=r"cannot be 1\.10; give a smaller --difference"):
        needed(0.6)
    with pytest.raises(ArmsError, match=r"only 3 sellers .* give --acceptance"):
        observed_sellers(Seen([0.5] * 3, None))


def test_the_pool_says_what_sellers_accept_and_how_many_there_are_in_a_day() -> None:
    day = timedelta(days=1)
    rows = [(4, 2, BEGAN, BEGAN), (0, 0, BEGAN, BEGAN + 10 * day), (2, 2, BEGAN, BEGAN + 20 * day)]
    rows += [(1, 0, BEGAN + 19 * day, BEGAN + 19 * day)]
    found = seen(lambda sql: ([], rows))
    assert list(found.acceptance) == [0.5, 1.0, 0.0]
    # Of the last week two.
    assert found.sellers_a_day == pytest.approx(2 / 7)


def test_without_traffic_there_are_no_days() -> None:
    assert seen(lambda sql: ([], [])).sellers_a_day is None
    assert seen(lambda sql: ([], [(1, 1, BEGAN, BEGAN)])).sellers_a_day is None
