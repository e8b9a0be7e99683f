"""Whether two auditors mean the same: Cohen's kappa and Gwet's AC1, with bootstrap intervals.

    kappa = (a − e) / (1 − e),  e = Σ_k p1_k · p2_k            (Cohen 1960)
    AC1   = (a − g) / (1 − g),  g = Σ_k q_k(1 − q_k) / (K − 1)  (Gwet 2008)

`a` is the share of values that both judged alike, `p1_k` and `p2_k` how often each auditor gives
verdict k, `q_k` their mean, K the number of verdicts that there could be. Where nearly all values
are right, kappa is low though hardly any verdict differs; AC1 is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 2000
SEED = 0
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Coefficient:
    """A coefficient with its 95 % percentile-bootstrap interval over values; at most 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """Two auditors on the values that both judged. A coefficient that is not defined is None:
    kappa, where both always gave one and the same verdict."""

    both: int
    agreed: int
    kappa: Coefficient | None
    ac1: Coefficient | None


def agreement(one: Sequence[str], other: Sequence[str], verdicts: Sequence[str]) -> Agreement:
    """How far `one` and `other`, verdicts on the same values in the same order, agree.

    verdicts: all that there could be, two or more.

    Raises:
        ValueError: they are not of one length.
    """
    pairs = list(zip(one, other, strict=True))
    kinds = len(verdicts)
    table = np.zeros((kinds, kinds))
    for first, second in pairs:
        table[verdicts.index(first), verdicts.index(second)] += 1
    if not pairs:
        return Agreement(0, 0, None, None)
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(len(pairs), table.ravel() / len(pairs), size=DRAWS)
    tables = drawn.reshape(DRAWS, kinds, kinds).astype(np.float64)
    return Agreement(
        both=len(pairs),
        agreed=int(np.trace(table)),
        kappa=_coefficient(kappa(table[None])[0], kappa(tables)),
        ac1=_coefficient(ac1(table[None])[0], ac1(tables)),
    )


def kappa(tables: Counts) -> Counts:
    """Cohen's, of each table of counts [draw, first's verdict, second's]; nan where undefined."""
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    by_chance = (shares.sum(axis=2) * shares.sum(axis=1)).sum(axis=1)
    return _beyond_chance(shares, by_chance)


def ac1(tables: Counts) -> Counts:
    """Gwet's, of the same."""
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    mean = (shares.sum(axis=2) + shares.sum(axis=1)) / 2
    return _beyond_chance(shares, (mean * (1 - mean)).sum(axis=1) / (tables.shape[1] - 1))


def _beyond_chance(shares: Counts, by_chance: Counts) -> Counts:
    agreed = np.trace(shares, axis1=1, axis2=2)
    room = 1 - by_chance
    possible = room > 1e-12
    found: Counts = np.where(possible, (agreed - by_chance) / np.where(possible, room, 1), np.nan)
    return found


def _coefficient(value: float, drawn: Counts) -> Coefficient | None:
    if np.isnan(value):
        return None
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return Coefficient(float(value), float(low), float(high))
