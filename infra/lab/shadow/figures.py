"""Waits by blocks into percentiles, each with an interval. Pure.

A block is measured without shadow answers, the next one with them, the next two the other way round
(ABBA), so that a machine that gets slower touches both alike. An interval is of a bootstrap of two
levels: pairs of neighbouring blocks are drawn, and requests within each block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (50, 90, 99)
DRAWS = 2_000
LEVEL = 0.95

Waits = NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two neighbouring blocks: the waits without shadow answers and with them."""

    without: Waits
    beside: Waits


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its interval, which has it with a chance of `LEVEL`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """One percentile in both arms, and the second over the first."""

    without: Estimate
    beside: Estimate
    ratio: Estimate


def order(pairs: int) -> list[bool]:
    """Of each block whether it has shadow answers: off on, on off, and so on."""
    return [bool(at) != bool(number % 2) for number in range(pairs) for at in range(2)]


def compare(pairs: Sequence[Pair], seed: int, draws: int = DRAWS) -> dict[int, Compared]:
    """Both arms by each of `PERCENTILES`.

    Raises:
        ValueError: a block has no request.
    """
    if not pairs or not all(len(pair.without) and len(pair.beside) for pair in pairs):
        raise ValueError("a block has no request; measure longer blocks, or more sellers a second")
    measured = _percentiles(pairs)
    dice = np.random.default_rng(seed)
    drawn = np.array([_percentiles(_drawn(pairs, dice)) for _ in range(draws)])
    return {
        percent: Compared(
            without=_estimate(measured[0, at], drawn[:, 0, at]),
            beside=_estimate(measured[1, at], drawn[:, 1, at]),
            ratio=_estimate(measured[1, at] / measured[0, at], drawn[:, 1, at] / drawn[:, 0, at]),
        )
        for at, percent in enumerate(PERCENTILES)
    }


def _percentiles(pairs: Sequence[Pair]) -> Waits:
    """Arm by percentile."""
    arms = [[pair.without for pair in pairs], [pair.beside for pair in pairs]]
    return np.array([np.percentile(np.concatenate(blocks), PERCENTILES) for blocks in arms])


def _drawn(pairs: Sequence[Pair], dice: np.random.Generator) -> list[Pair]:
    chosen = dice.integers(len(pairs), size=len(pairs))
    return [
        Pair(
            without=dice.choice(pairs[at].without, len(pairs[at].without)),
            beside=dice.choice(pairs[at].beside, len(pairs[at].beside)),
        )
        for at in chosen
    ]


def _estimate(value: float, drawn: Waits) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(value), float(low), float(high))
