"""The list of kills: seeded, balanced, and never more than the supervisor puts up with."""

from collections import Counter

import pytest

from infra.lab.chaos.plan import VICTIMS, make_plan

SEEDS = range(20)


def test_the_same_seed_gives_the_same_kills_and_another_seed_others() -> None:
    assert make_plan(30, 7) == make_plan(30, 7)
    assert make_plan(30, 7) != make_plan(30, 8)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_process_is_killed_as_often_as_any_other(seed: int) -> None:
    counts = Counter(kill.victim for kill in make_plan(10, seed))
    assert counts == dict.fromkeys(VICTIMS, 2)
    counts = Counter(kill.victim for kill in make_plan(103, seed))
    assert counts.keys() == set(VICTIMS)
    assert max(counts.values()) - min(counts.values()) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_some_strike_during_a_recovery_and_never_more_than_two_in_a_row(seed: int) -> None:
    during = [kill.during for kill in make_plan(100, seed)]
    assert not during[0]
    assert 20 <= sum(during) <= 50
    assert not any(all(during[i : i + 3]) for i in range(len(during) - 2))


@pytest.mark.parametrize("seed", SEEDS)
def test_no_process_is_killed_so_often_that_the_supervisor_gives_it_up(seed: int) -> None:
    victims = [kill.victim for kill in make_plan(100, seed)]
    for start in range(len(victims)):
        assert max(Counter(victims[start : start + 5]).values()) <= 2


def test_of_several_workers_each_is_hit_as_often_as_any_other_process() -> None:
    victims = (*VICTIMS, "predict-2", "predict-3")
    counts = Counter(kill.victim for kill in make_plan(14, 3, victims))
    assert counts == dict.fromkeys(victims, 2)
