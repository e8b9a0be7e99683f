"""Which process is killed when: the same for the same seed.

Every process is killed about as often as any other. A kill comes after all has recovered from the
one before, or *during* that recovery, then with a short delay: on another process, which may be
what the first one needs to come back, or on the same one again as it starts.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

VICTIMS = ("kafka", "triton", "predict", "curate", "trainer")

DURING = 0.4
"""The share of kills that strike during a recovery."""
MOST_DURING = 2
"""In a row; without a recovery now and then nothing of one could be measured."""
DELAY_DURING_S = (0.2, 6.0)
"""A worker is back after some 3 s, the broker after 6, Triton after 8."""
DELAY_AFTER_S = (0.2, 3.0)
NEAR, MOST_NEAR = 5, 2
"""Of so many kills in a row so many at most hit the same process: the supervisor gives up a process
that dies five times within a minute, and that is as it should be."""


@dataclass(frozen=True)
class Kill:
    """One SIGKILL: `delay_s` after recovery from the one before, or after that one itself."""

    number: int
    victim: str
    during: bool
    delay_s: float


def make_plan(kills: int, seed: int, victims: Sequence[str] = VICTIMS) -> list[Kill]:
    """`kills` kills of `victims`, numbered from 1."""
    chance = random.Random(f"chaos/{seed}")
    plan: list[Kill] = []
    for number, victim in enumerate(_order(kills, victims, chance), start=1):
        in_a_row = [kill.during for kill in plan[-MOST_DURING:]]
        allowed = bool(plan) and not (len(in_a_row) == MOST_DURING and all(in_a_row))
        during = chance.random() < DURING and allowed
        delay_s = chance.uniform(*(DELAY_DURING_S if during else DELAY_AFTER_S))
        plan.append(Kill(number, victim, during, round(delay_s, 2)))
    return plan


def _order(kills: int, victims: Sequence[str], chance: random.Random) -> list[str]:
    """Every process in equal parts, in an order that heeds `MOST_NEAR`."""
    while True:
        left = {victim: kills // len(victims) for victim in victims}
        for victim in chance.sample(victims, kills % len(victims)):
            left[victim] += 1
        order: list[str] = []
        while len(order) < kills:
            near = order[-(NEAR - 1) :]
            free = [v for v in victims if left[v] and near.count(v) < MOST_NEAR]
            if not free:
                break  # only one is left and was hit just now: deal anew
            chosen = chance.choices(free, [left[v] for v in free])[0]
            left[chosen] -= 1
            order.append(chosen)
        else:
            return order
