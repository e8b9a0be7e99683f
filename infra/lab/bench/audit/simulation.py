"""Audits of values that are made up, by the real strata, draw and estimates of `streams.audit`.

A world says how likely each value is to be right, how confident the adapter says it is, and what
sellers accepted. In one audit every value is right or wrong anew, sellers review half of them, the
strata are made of what they accepted, and a person judges the drawn ones without fault. Beside it
the classical audit: as many values drawn from all alike, the plain share, Wilson's interval.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from infra.lab.bench.results import Figures
from streams.audit.prediction_powered import Estimate, Judged, correctness
from streams.audit.stratifying import BINS, Bin, Stratum, stratify

POPULATION = 20_000
REVIEWED = 0.5
LENIENT = 0.3
"""Of the wrong values, those that sellers accept all the same."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class World:
    """`chances`: how likely each of `n` values is right. `confidence`: what the adapter says, given
    those. `lenient`: the share of wrong values that sellers accept; None: nobody reviews."""

    chances: Callable[[np.random.Generator, int], Floats]
    confidence: Callable[[np.random.Generator, Floats], Floats]
    lenient: float | None = LENIENT


def _beta(a: float, b: float) -> Callable[[np.random.Generator, int], Floats]:
    return lambda rng, n: rng.beta(a, b, n)


def _itself(_: np.random.Generator, chances: Floats) -> Floats:
    return chances


def _overconfident(_: np.random.Generator, chances: Floats) -> Floats:
    return 1 - (1 - chances) ** 3


def _upside_down(_: np.random.Generator, chances: Floats) -> Floats:
    return 1 - chances


def _random(rng: np.random.Generator, chances: Floats) -> Floats:
    return rng.random(len(chances))


SHARP, PLAIN, GOOD = _beta(0.5, 0.5), _beta(1, 1), _beta(1.8, 0.2)
WORLDS = {
    "telling": World(SHARP, _itself),
    "half telling": World(PLAIN, _itself),
    "overconfident": World(SHARP, _overconfident),
    "overconfident, nobody reviews": World(SHARP, _overconfident, None),
    "accepted whatever it is": World(SHARP, _itself, 1.0),
    "upside down, nobody reviews": World(SHARP, _upside_down, None),
    "useless": World(SHARP, _random),
    "useless, nobody reviews": World(SHARP, _random, None),
    "90 % right, telling": World(GOOD, _itself),
    "90 % right, useless": World(GOOD, _random),
}
"""Of all but the last two half of the values are right, where an audit needs most."""


@dataclass
class Tally:
    """What came of many audits of one size in one world, by the way of estimating."""

    half_widths: dict[str, list[float]]
    covered: dict[str, int]
    errors: dict[str, list[float]]
    power: list[float]

    def figures(self) -> Figures:
        """Means, and shares of all audits."""
        found: Figures = {}
        for way, widths in self.half_widths.items():
            found[f"{way}_half_width"] = float(np.mean(widths))
            found[f"{way}_coverage"] = self.covered[way] / len(widths)
        # Of errors, not of widths: those an interval could make up.
        found["powered_error"] = _root_mean_square(self.errors["powered"])
        found["classical_error"] = _root_mean_square(self.errors["classical"])
        found["power"] = float(np.mean(self.power))
        found["audits"] = len(self.power)
        return found


def audits(world: World, size: int, count: int, seed: int = 0) -> Tally:
    """`count` audits of `size` values, each of a population of its own."""
    rng = np.random.default_rng([seed, size])
    ways = ("powered", "stratified", "classical")
    tally = Tally({w: [] for w in ways}, dict.fromkeys(ways, 0), {w: [] for w in ways}, [])
    for _ in range(count):
        truth, found = one_audit(world, size, rng)
        for way, estimate in found.items():
            tally.half_widths[way].append(estimate.half_width)
            tally.covered[way] += estimate.low <= truth <= estimate.high
            tally.errors[way].append(estimate.value - truth)
        tally.power.append(found["powered"].power)
    return tally


def one_audit(
    world: World, size: int, rng: np.random.Generator
) -> tuple[float, dict[str, Estimate]]:
    """The share that is right in truth, and what each way makes of an audit of `size` values."""
    chances = world.chances(rng, POPULATION)
    right = rng.random(POPULATION) < chances
    confidence = world.confidence(rng, chances)
    place = np.clip((confidence * BINS).astype(np.int64), 0, BINS - 1)
    strata = stratify(_bins(world, right, place, rng), size)
    judged = [_judged(one, right, place, rng) for one in strata]
    alike = rng.choice(POPULATION, size, replace=False)
    plain = Judged(POPULATION, 0.0, right[alike].astype(float), np.zeros(size))
    return float(right.mean()), {
        "powered": correctness(judged),
        "stratified": correctness(judged, power=0),
        "classical": correctness([plain], power=0),
    }


def needed(world: World, way: str, half_width: float, count: int, sizes: Sequence[int]) -> int:
    """The smallest of `sizes` whose mean half-width is at most `half_width`; the last if none."""
    for size in sizes:
        widths = audits(world, size, count, seed=1).half_widths[way]
        if float(np.mean(widths)) <= half_width:
            return size
    return sizes[-1]


def _bins(
    world: World, right: npt.NDArray[np.bool_], place: Ints, rng: np.random.Generator
) -> list[Bin]:
    """As the pool would count them."""
    reviewed = rng.random(POPULATION) < (0.0 if world.lenient is None else REVIEWED)
    accepted = reviewed & (right | (rng.random(POPULATION) < (world.lenient or 0.0)))
    counts = [
        np.bincount(place, weights=kind, minlength=BINS).astype(int)
        for kind in (np.ones(POPULATION), reviewed, accepted)
    ]
    return [
        Bin(adapter_id="a", bin=n, values=values, reviewed=seen, accepted=taken)
        for n, (values, seen, taken) in enumerate(zip(*map(np.ndarray.tolist, counts), strict=True))
        if values
    ]


def _judged(
    one: Stratum, right: npt.NDArray[np.bool_], place: Ints, rng: np.random.Generator
) -> Judged:
    own = np.flatnonzero((place >= one.low) & (place <= one.high))
    drawn = rng.choice(own, one.drawn, replace=False)
    score = np.array([one.scores[int(n)] for n in place[drawn]])
    return Judged(one.values, one.mean_score, right[drawn].astype(float), score)


def _root_mean_square(errors: Sequence[float]) -> float:
    return math.sqrt(float(np.mean(np.square(errors))))
