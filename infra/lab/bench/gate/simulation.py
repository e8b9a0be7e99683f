"""Candidates of the gate that are made up, judged by its real code.

The listings are synthetic, the bootstrap, the bounds and the verdict are `trainer.judging.gate`'s.
An attribute value has a difficulty that all adapters share, a part of its own for each adapter, and
each adapter a skill: it is right where its skill is above both together (a probit model). What is
not right is a wrong suggestion or a blank. Skills are set so that the *true* difference in net
benefit, over all listings that there could be, is exactly what is asked for.

A candidate that is left undecided is looked at again, on half as many listings more each time, up
to `trainer.judging.gate.LOOKS`.

Listings are of one kind, or of several (texts, pictures, both); an adapter has a skill for each.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from infra.lab.bench.results import Figures
from trainer.judging.gate import (
    LOOKS,
    Rule,
    difference,
    harmed,
    kinds_with_enough,
    verdict,
)
from trainer.judging.intervals import Floats, Ratio, draw_listings
from trainer.results import Difference, Verdict

PARENT = 0.35  # the parent's net benefit
SPOKEN = 0.85  # of what is not right, the share that is suggested all the same
ROUNDS = 20


@dataclass(frozen=True)
class World:
    """What listings and adapters are like.

    `values` are the fewest and most values that a listing has in the catalog, `spread` is how much
    listings differ in difficulty, `likeness` the share of what decides a value that all adapters
    have in common.
    """

    likeness: float
    values: tuple[int, int] = (3, 15)
    spread: float = 0.8

    def skill(self, net_benefit: float, cost: float) -> float:
        """The skill of an adapter that has this net benefit over all listings there could be."""
        right = (net_benefit + cost * SPOKEN) / (1 + cost * SPOKEN)
        return NormalDist().inv_cdf(right) * float(np.sqrt(1 + self.spread**2))

    def judged(
        self, rng: np.random.Generator, listings: int, skills: Sequence[float], cost: float
    ) -> list[Ratio]:
        """The net benefit of adapters with these skills on the same new listings."""
        counts = rng.integers(*self.values, listings, endpoint=True)
        which = np.repeat(np.arange(listings), counts)
        hard = rng.normal(0, self.spread, listings)[which]
        common = rng.normal(0, np.sqrt(self.likeness), len(which))
        silent = rng.random(len(which)) >= SPOKEN
        found = []
        for skill in skills:
            own = rng.normal(0, np.sqrt(1 - self.likeness), len(which))
            right = common + own + hard < skill
            worth = np.where(right, 1.0, np.where(silent, 0.0, -cost))
            gained = np.bincount(which, worth, listings)
            found.append(Ratio(gained.astype(np.float64), counts.astype(np.float64)))
        return found


@dataclass
class Tally:
    """What became of candidates: verdicts at the first look, and in the end."""

    first: list[Verdict] = field(default_factory=list)
    last: list[Verdict] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    held_back: list[bool] = field(default_factory=list)  # at the first look, for one kind of input

    def figures(self) -> Figures:
        """Shares of all candidates."""

        def share(verdicts: Sequence[Verdict], kind: Verdict) -> float:
            return verdicts.count(kind) / len(verdicts)

        return {
            "promoted": share(self.last, Verdict.PROMOTE),
            "rejected": share(self.last, Verdict.REJECT),
            "promoted_at_first_look": share(self.first, Verdict.PROMOTE),
            "challenger_after_first_look": share(self.first, Verdict.CHALLENGER),
            "held_back_at_first_look": self.held_back.count(True) / len(self.held_back),
            "standard_error": float(np.mean(self.errors)),
            "candidates": len(self.last),
        }


def rates(
    rule: Rule, world: World, listings: int, gain: float, candidates: int, seed: int = 0
) -> Tally:
    """What becomes of candidates that are truly better by `gain` than a parent that is the best."""
    return rates_by_kind(rule, world, [(listings, gain)], candidates, seed)


def rates_by_kind(
    rule: Rule, world: World, kinds: Sequence[tuple[int, float]], candidates: int, seed: int = 0
) -> Tally:
    """What becomes of candidates that differ from their parent, the best there is, kind by kind.

    `kinds` are the listings of each at the first look, and how much better the candidate truly is
    on them.
    """
    cost = rule.cost_of_wrong
    seeds = (number for count, gain in kinds for number in (count, int(1000 * (1 + gain))))
    rng = np.random.default_rng([seed, *seeds])
    parts = [(count, [world.skill(PARENT + more, cost) for more in (0.0, gain)])
             for count, gain in kinds]  # fmt: skip
    tally = Tally()
    for _ in range(candidates):
        looks = _looks(rule, world, parts, rng)
        found = next(looks)
        tally.first.append(found.kind)
        tally.errors.append(found.error)
        tally.held_back.append(found.held_back)
        while found.kind is Verdict.CHALLENGER:
            found = next(looks)
        tally.last.append(found.kind)
    return tally


def course(
    rule: Rule, world: World, listings: int, gains: Callable[[int], float], seed: int
) -> float:
    """How far below the best former champion the alias is at worst, in twenty rounds; true values.

    `gains` tells how much better than its parent each round's candidate truly is.
    """
    rng = np.random.default_rng([seed, listings])
    champion = best = highest = PARENT
    worst = 0.0
    for number in range(ROUNDS):
        truth = [champion, champion + gains(number)] + ([best] if best != champion else [])
        skills = [world.skill(value, rule.cost_of_wrong) for value in truth]
        looks = _looks(rule, world, [(listings, skills)], rng)
        found = next(looks)
        while found.kind is Verdict.CHALLENGER:
            found = next(looks)
        if found.kind is not Verdict.PROMOTE:
            continue
        # As the trainer does it: of champion and best the one that looks better is the best now.
        seen = world.judged(rng, listings, [world.skill(v, rule.cost_of_wrong) for v in
                                            (champion, best)], rule.cost_of_wrong)  # fmt: skip
        best = champion if seen[0].value >= seen[1].value else best
        champion = truth[1]
        highest = max(highest, champion)
        worst = max(worst, highest - champion)
    return worst


@lru_cache(maxsize=64)
def _drawn(listings: int, draws: int, seed: int) -> Floats:
    return draw_listings(listings, draws, seed)


@dataclass(frozen=True)
class _Look:
    """What one look says. `held_back`: it would promote, but a kind of input is harmed."""

    kind: Verdict
    error: float
    held_back: bool


def _looks(
    rule: Rule,
    world: World,
    kinds: Sequence[tuple[int, Sequence[float]]],
    rng: np.random.Generator,
) -> Iterator[_Look]:
    """Look by look: parent, candidate and, unless it is the parent, the best former champion are
    asked for half as many new listings each time. `kinds` are listings and skills of each kind."""
    cost = rule.cost_of_wrong
    seen = [world.judged(rng, listings, skills, cost) for listings, skills in kinds]
    for look in range(1, LOOKS + 1):
        parent, candidate, *best = map(_together, zip(*seen, strict=True))
        drawn = _drawn(len(parent.numerator), rule.draws, rule.seed)
        gain = difference(parent, candidate, drawn, rule, look)
        held = difference(best[0], candidate, drawn, rule, look) if best else None
        worse = harmed(_by_kind(seen, rule, look))
        held_back = bool(worse) and verdict(gain, held, rule, look) is Verdict.PROMOTE
        yield _Look(verdict(gain, held, rule, look, worse), gain.error, held_back)
        more = [world.judged(rng, listings // 2, skills, cost) for listings, skills in kinds]
        seen = [
            [_together(pair) for pair in zip(old, new, strict=True)]
            for old, new in zip(seen, more, strict=True)
        ]


def _by_kind(seen: Sequence[Sequence[Ratio]], rule: Rule, look: int) -> dict[str, Difference]:
    """candidate - parent of each kind as the gate has them; nothing for one alone."""
    if len(seen) < 2:
        return {}
    sizes = [len(parent.numerator) for parent, *_ in seen]
    sharing = kinds_with_enough(sizes)
    return {
        str(number): difference(
            parent, candidate, _drawn(size, rule.draws, rule.seed), rule, look, sharing
        )
        for number, (size, (parent, candidate, *_)) in enumerate(zip(sizes, seen, strict=True))
    }


def _together(parts: Sequence[Ratio]) -> Ratio:
    """One ratio over the listings of all `parts`."""
    return Ratio(
        np.concatenate([part.numerator for part in parts]),
        np.concatenate([part.denominator for part in parts]),
    )
