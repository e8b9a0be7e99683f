"""Two auditors: the coefficients are those of the textbooks."""

import random
import sys

import pytest

from streams.audit.agreement import agreement

VERDICTS = ("right", "wrong", "cannot_tell")


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_scikit_learns(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # `streams.pool.file` tells DuckDB that there is no pandas, which scikit-learn does not expect.
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    from sklearn.metrics import cohen_kappa_score

    rng = random.Random(seed)
    one = rng.choices(VERDICTS, (6, 3, 1), k=60)
    other = [v if rng.random() < 0.8 else rng.choice(VERDICTS) for v in one]
    found = agreement(one, other, VERDICTS)
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(cohen_kappa_score(one, other), abs=1e-12)
    assert found.kappa.low < found.kappa.value < found.kappa.high


def test_ac1_is_high_where_kappa_suffers_from_one_frequent_verdict() -> None:
    # Gwet 2008, table 1 of "the paradox": 118 and 2 agreed, 5 disagreed.
    one = ["right"] * 118 + ["right"] * 5 + ["wrong"] * 2
    other = ["right"] * 118 + ["wrong"] * 5 + ["right"] * 2
    found = agreement(one, other, ("right", "wrong"))
    assert found.kappa is not None
    assert found.ac1 is not None
    assert found.kappa.value < 0 < 0.9 < found.ac1.value
    p = (123 / 125 + 120 / 125) / 2
    chance = 2 * p * (1 - p)
    assert found.ac1.value == pytest.approx((118 / 125 - chance) / (1 - chance))


def test_where_both_always_say_the_same_kappa_is_not_defined_and_ac1_is_1() -> None:
    found = agreement(["right"] * 9, ["right"] * 9, VERDICTS)
    assert (found.both, found.agreed, found.kappa) == (9, 9, None)
    assert found.ac1 is not None
    assert found.ac1.value == 1.0


def test_without_a_value_that_both_judged_there_is_no_coefficient() -> None:
    found = agreement([], [], VERDICTS)
    assert (found.both, found.kappa, found.ac1) == (0, None, None)


def test_the_same_verdicts_give_the_same_interval() -> None:
    one, other = ["right", "wrong"] * 20, ["right", "wrong", "wrong", "wrong"] * 10
    assert agreement(one, other, VERDICTS) == agreement(one, other, VERDICTS)
