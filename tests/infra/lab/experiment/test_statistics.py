"""Shares over seeds, and differences between arms."""

import pytest

from infra.lab.experiment.figures import AnswerCounts, Sealed
from infra.lab.experiment.statistics import PRODUCT, differences, measured, net_benefit
from trainer.judging.evaluate import ListingScore

TEST = Sealed(listing_ids=["a", "b"], asked=[4, 2], labelled=[2, 2])
FIRST = AnswerCounts(valid=[4, 1], suggested=[2, 1], right=[2, 0], seconds=1.0)
SECOND = AnswerCounts(valid=[2, 1], suggested=[1, 1], right=[1, 1], seconds=1.0)


def test_shares_are_the_means_over_the_seeds() -> None:
    shares = measured(TEST, [FIRST, SECOND])
    assert shares["completeness"].value == pytest.approx((0.75 + 0.5) / 2)
    assert shares["recall"].value == pytest.approx((2 / 4 + 2 / 4) / 2)
    assert shares["precision"].value == pytest.approx(4 / 5)
    assert shares[PRODUCT].value == pytest.approx(0.625 * 0.8)
    # Four right and one wrong of two listings' two values each, twice.
    assert shares["net benefit"].value == pytest.approx((4 - 0.25 * 1) / 8)
    assert all(s.low <= s.value <= s.high for s in shares.values())


def test_an_arm_does_not_differ_from_itself() -> None:
    found = differences(TEST, [FIRST, SECOND], [FIRST, SECOND])
    assert all((d.value, d.low, d.high) == (0, 0, 0) for d in found.values())


def test_a_difference_is_paired_by_listing() -> None:
    # Both are better by one value on each listing: no draw of listings says otherwise.
    better = AnswerCounts(valid=[3, 2], suggested=[2, 2], right=[2, 2], seconds=1.0)
    worse = AnswerCounts(valid=[3, 2], suggested=[2, 2], right=[1, 1], seconds=1.0)
    found = differences(TEST, [better], [worse])["recall"]
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def scored(labelled: int, suggested: int, right: int) -> ListingScore:
    return ListingScore(
        listing_id="a",
        asked=9,
        valid=suggested,
        labelled=labelled,
        suggested=suggested,
        right=right,
        seconds=1.0,
        values={},
        invalid={},
    )


def test_a_wrong_suggestion_costs_a_quarter_of_what_a_right_one_gains() -> None:
    assert net_benefit([scored(4, 3, 2), scored(4, 2, 1)]) == pytest.approx((3 - 0.25 * 2) / 8)
    assert net_benefit([scored(4, 4, 0)]) == -0.25
    assert net_benefit([scored(4, 0, 0)]) == 0
    assert net_benefit([scored(0, 0, 0)]) == 0
    assert net_benefit([scored(4, 3, 2)], cost_of_wrong=1) == pytest.approx((2 - 1) / 4)
