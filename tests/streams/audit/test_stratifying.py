"""Which strata there are, how values score, and how many are drawn of each."""

import pytest

from streams.audit.errors import AuditError
from streams.audit.stratifying import (
    LEAST_SD,
    NO_CONFIDENCE,
    Bin,
    apportion,
    scores,
    stratify,
)


def bin_(
    number: int, values: int = 100, reviewed: int = 0, accepted: int = 0, by: str = "a"
) -> Bin:
    return Bin(adapter_id=by, bin=number, values=values, reviewed=reviewed, accepted=accepted)


def test_without_reviews_the_score_is_the_confidence() -> None:
    assert scores([bin_(0), bin_(49), bin_(99)]) == pytest.approx([0.005, 0.495, 0.995])


def test_the_score_is_the_accepted_share_which_never_falls_with_confidence() -> None:
    bins = [bin_(10, 100, 10, 4), bin_(20, 100, 10, 2), bin_(30), bin_(40, 100, 10, 9)]
    assert scores(bins) == pytest.approx([0.3, 0.3, 0.6, 0.9])


def test_values_without_a_confidence_score_what_was_accepted_of_their_kind() -> None:
    found = scores([bin_(NO_CONFIDENCE, 50, 8, 4), bin_(50, 50, 10, 10)])
    assert found == [0.5, 1.0]


def test_as_many_are_drawn_as_were_asked_for_and_no_stratum_has_fewer_than_two() -> None:
    strata = stratify([bin_(n, 10 + n) for n in range(100)], 200)
    assert sum(one.drawn for one in strata) == 200
    assert sum(one.values for one in strata) == sum(10 + n for n in range(100))
    assert min(one.drawn for one in strata) >= 2
    assert len(strata) == 10


def test_the_more_uncertain_a_stratum_the_more_are_drawn_of_it() -> None:
    sure, unsure = stratify([bin_(0, 1000, 100, 0), bin_(1, 1000, 100, 50)], 48)
    assert unsure.drawn / sure.drawn == pytest.approx(0.5 / LEAST_SD, rel=0.05)


def test_named_adapters_get_equal_shares() -> None:
    bins = [bin_(50, 9000, by="old"), bin_(50, 100, by="new")]
    assert [one.drawn for one in stratify(bins, 60, equally=True)] == [30, 30]
    assert [one.drawn for one in stratify(bins, 60)] == [2, 58]  # new, old


def test_a_sample_larger_than_the_population_is_all_of_it() -> None:
    strata = stratify([bin_(10, 3), bin_(90, 4)], 200)
    assert [one.drawn for one in strata] == [one.values for one in strata]


def test_an_empty_pool_is_one_sentence() -> None:
    with pytest.raises(AuditError, match="no suggested value to draw from"):
        stratify([], 200)


def test_too_small_a_sample_for_so_many_adapters_is_one_sentence() -> None:
    with pytest.raises(AuditError, match="draw at least 6, or name fewer adapters"):
        stratify([bin_(50, by=name) for name in "abc"], 5)


@pytest.mark.parametrize("total", [4, 7, 19, 100])
def test_apportioning_gives_all_and_keeps_the_bounds(total: int) -> None:
    most = [3, 50, 1]
    given = apportion(total, [5.0, 1.0, 2.0], most)
    assert sum(given) == max(min(total, sum(most)), 5)
    assert all(min(2, limit) <= one <= limit for one, limit in zip(given, most, strict=True))


def test_values_without_a_confidence_are_a_stratum_of_their_own() -> None:
    strata = stratify([bin_(NO_CONFIDENCE, 500), bin_(20, 500), bin_(80, 500)], 90)
    assert strata[0].band == "none"
    assert strata[1].low == 20
