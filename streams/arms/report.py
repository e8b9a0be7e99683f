"""All arms of an experiment side by side, each with its intervals and its difference from the
control.

Figures and differences are *sequences* over one closed number per seller (`streams.arms.measures`).
`Fixed` is of all values of all reviewed answers: the delta method with sellers as clusters, and the
paper's two-proportion z, which takes every value for evidence of its own. Both are right only at an
end that was planned before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

from streams.arms.cost import cost_of
from streams.arms.measures import (
    ACCEPTANCE,
    MEASURES,
    NET_BENEFIT,
    Estimate,
    difference,
    limits,
    mean,
    measured,
    numerator,
)
from streams.arms.observed import Observed, Traffic, Unit, Values
from streams.arms.ratios import Ratios, elsewhere, ratios
from streams.statistics.fixed_horizon import Ratio, normal_test, ratio_delta, two_proportion_z
from streams.trials import ArmPrices

ALPHA = 0.05
DRAWN = (ACCEPTANCE, NET_BENEFIT)
"""The measures that have a path."""
POINTS = 40
"""Points of a path, at most: each costs one pass over the sellers before it."""


@dataclass(frozen=True)
class Fixed:
    """A ratio of sums over all reviewed answers, with its delta-method interval.

    `z`, `p`: two proportions, of values, arm minus control; None for the control and where it is no
    proportion. `z_sellers`, `p_sellers`: the same difference by the delta method, without a `z`
    where all sellers are alike.
    """

    value: float
    low: float
    high: float
    z: float | None = None
    p: float | None = None
    z_sellers: float | None = None
    p_sellers: float | None = None


@dataclass(frozen=True)
class Point:
    """A sequence as it stood after so many sellers."""

    sellers: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ArmRow:
    """One arm. `figures`, `differences`, `fixed` and `paths` (of those `DRAWN`) are by measure.

    `sellers` were answered, `reviewed` of them have reviewed. Tokens are means of an answer; costs
    are None without a price: of a thousand answers, and of one value that was accepted.
    """

    arm: str
    answers_with: str
    sellers: int
    reviewed: int
    reviews: int
    figures: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    fixed: Mapping[str, Fixed]
    paths: Mapping[str, Sequence[Point]]
    answered: int
    failed: int
    fell_back: int
    p50_ms: float | None
    p90_ms: float | None
    tokens_read: float | None
    tokens_written: float | None
    cost_per_thousand: float | None
    cost_per_accepted: float | None


@dataclass(frozen=True)
class ArmsReport:
    """The whole experiment; the first row is the control.

    `ratios` is None where fewer than two arms have a share. `elsewhere`: sellers who were answered
    in another arm than their own, or in two; there should be none.
    """

    experiment: str
    state: str
    cost_of_wrong: float
    alpha: float
    rows: Sequence[ArmRow]
    ratios: Ratios | None
    elsewhere: int


def report(
    observed: Observed,
    cost_of_wrong: float,
    prices: Mapping[str, ArmPrices],
    alpha: float = ALPHA,
) -> ArmsReport:
    """The figures of `observed`.

    Args:
        cost_of_wrong: what a suggestion that was not accepted costs, in accepted ones.
        prices: what each arm's answers cost, by its name; an arm that is not there has no cost.
        alpha: the error of each single interval.
    """
    rows = [
        _row(observed, arm, cost_of_wrong, prices.get(arm), alpha) for arm in observed.arm_names()
    ]
    return ArmsReport(
        observed.experiment.name,
        observed.state,
        cost_of_wrong,
        alpha,
        rows,
        ratios(observed.experiment, observed.units),
        elsewhere(observed.experiment, observed.units),
    )


def _row(
    observed: Observed, arm: str, cost_of_wrong: float, prices: ArmPrices | None, alpha: float
) -> ArmRow:
    control = observed.experiment.control
    units = [unit for unit in observed.units if unit.arm == arm]
    traffic = next((one for one in observed.traffic if one.arm == arm), None)
    answered = traffic.answers if traffic else 0
    cost = cost_of(traffic, prices) if traffic and prices else None
    figures, differences, fixed = {}, {}, {}
    paths: dict[str, Sequence[Point]] = {}
    for measure in MEASURES:
        within = limits(measure, cost_of_wrong)
        own = _numbers(observed.closed, arm, measure, cost_of_wrong)
        if estimate := mean(own, within, alpha):
            figures[measure] = estimate
            if measure in DRAWN:
                paths[measure] = _path(own, measure, cost_of_wrong, alpha)
        if other := _fixed(observed.units, arm, control.name, measure, cost_of_wrong, alpha):
            fixed[measure] = other
        if arm != control.name:
            pairs = _in_order(observed.closed, arm, control.name, measure, cost_of_wrong)
            if estimate := difference(pairs, within, alpha):
                differences[measure] = estimate
    return ArmRow(
        arm=arm,
        answers_with=next(one.answers for one in observed.experiment.arms if one.name == arm),
        sellers=len(units),
        reviewed=sum(name == arm for name, _ in observed.closed),
        reviews=sum(unit.reviews for unit in units),
        figures=figures,
        differences=differences,
        fixed=fixed,
        paths=paths,
        answered=answered,
        failed=traffic.failed if traffic else 0,
        fell_back=traffic.fell_back if traffic else 0,
        p50_ms=traffic.p50_ms if traffic else None,
        p90_ms=traffic.p90_ms if traffic else None,
        tokens_read=traffic.tokens_read / answered if traffic and answered else None,
        tokens_written=traffic.tokens_written / answered if traffic and answered else None,
        cost_per_thousand=None if cost is None or not answered else 1000 * cost / answered,
        cost_per_accepted=_per_accepted(cost, traffic, units),
    )


def _numbers(
    closed: Sequence[tuple[str, Values]], arm: str, measure: str, cost_of_wrong: float
) -> list[float]:
    """An arm's closed numbers, in the log's order; sellers who have none are left out."""
    found = (measured(values, measure, cost_of_wrong) for name, values in closed if name == arm)
    return [number for number in found if number is not None]


def _in_order(
    closed: Sequence[tuple[str, Values]],
    arm: str,
    control: str,
    measure: str,
    cost_of_wrong: float,
) -> list[tuple[bool, float]]:
    """The closed numbers of an arm (True) and the control, as they came."""
    found = (
        (name == arm, measured(values, measure, cost_of_wrong))
        for name, values in closed
        if name in (arm, control)
    )
    return [(treated, number) for treated, number in found if number is not None]


def _path(
    numbers: Sequence[float], measure: str, cost_of_wrong: float, alpha: float
) -> list[Point]:
    """How the sequence came to where it is."""
    step, points = max(1, -(-len(numbers) // POINTS)), []
    for n in sorted({*range(step, len(numbers) + 1, step), len(numbers)}):
        made = mean(numbers[:n], limits(measure, cost_of_wrong), alpha)
        if made:
            points.append(Point(n, made.value, made.low, made.high))
    return points


def _fixed(
    units: Sequence[Unit],
    arm: str,
    control: str,
    measure: str,
    cost_of_wrong: float,
    alpha: float,
) -> Fixed | None:
    own = _ratio(units, arm, measure, cost_of_wrong)
    if own is None:
        return None
    within = limits(measure, cost_of_wrong)
    bounds = own.bounds(alpha).clipped(within.low, within.high)
    other = _ratio(units, control, measure, cost_of_wrong) if arm != control else None
    if other is None:
        return Fixed(own.value, bounds.low, bounds.high)
    by_seller = normal_test(own.value - other.value, sqrt(own.error**2 + other.error**2))
    z = p = None
    if measure != NET_BENEFIT:
        test = two_proportion_z(*_counts(units, arm, measure), *_counts(units, control, measure))
        z, p = test.z, test.p_value
    z_sellers = by_seller.z if isfinite(by_seller.z) else None
    return Fixed(own.value, bounds.low, bounds.high, z, p, z_sellers, by_seller.p_value)


def _ratio(units: Sequence[Unit], arm: str, measure: str, cost_of_wrong: float) -> Ratio | None:
    """Numerators over denominators of an arm's sellers; None with fewer than two of them."""
    own = [unit.values for unit in units if unit.arm == arm and unit.reviews]
    own = [values for values in own if _denominator(values, measure)]
    if len(own) < 2:
        return None
    tops = [numerator(values, measure, cost_of_wrong) for values in own]
    return ratio_delta(tops, [_denominator(values, measure) for values in own])


def _counts(units: Sequence[Unit], arm: str, measure: str) -> tuple[int, int]:
    own = [unit.values for unit in units if unit.arm == arm]
    top = sum(numerator(values, measure, 0.0) for values in own)
    return round(top), sum(_denominator(values, measure) for values in own)


def _denominator(values: Values, measure: str) -> int:
    return values.shown if measure == ACCEPTANCE else values.asked


def _per_accepted(
    cost: float | None, traffic: Traffic | None, units: Sequence[Unit]
) -> float | None:
    """What a value costs that a seller took over; answers that nobody reviewed yet are left out."""
    accepted = sum(unit.values.accepted for unit in units)
    reviews = sum(unit.reviews for unit in units)
    if cost is None or traffic is None or not accepted or not traffic.answers:
        return None
    return cost / traffic.answers * reviews / accepted
