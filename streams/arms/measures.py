"""What is measured of a seller's closed number: shares, and the net benefit.

Each is bounded, so that a betting sequence says where its mean over sellers is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.arms.observed import Values
from streams.statistics.betting import BettingDifference, BettingMean
from streams.statistics.bounds import Bounds
from streams.statistics.net_benefit import net_values

ACCEPTANCE, GENERATED, ACCEPTED = "acceptance", "generated", "accepted"
FINAL, NET_BENEFIT = "final", "net_benefit"
MEASURES = {
    ACCEPTANCE: "accepted as suggested / suggested",
    GENERATED: "completeness generated: suggested / asked for",
    ACCEPTED: "completeness generated and accepted: accepted as suggested / asked for",
    FINAL: "completeness of the listing that was submitted: filled by anyone / asked for",
    NET_BENEFIT: "(accepted - cost of wrong x not accepted) / asked for",
}
"""What is measured, and how."""


@dataclass(frozen=True)
class Estimate:
    """A mean over sellers, and where it is, whenever one looks."""

    value: float
    low: float
    high: float
    sellers: int


def measured(values: Values, measure: str, cost_of_wrong: float) -> float | None:
    """A seller's number; None where it has none: nothing was asked for, or nothing suggested."""
    of = values.shown if measure == ACCEPTANCE else values.asked
    if not of:
        return None
    return numerator(values, measure, cost_of_wrong) / of


def numerator(values: Values, measure: str, cost_of_wrong: float) -> float:
    """What is measured, in values; of those asked for no more than all.

    A service may have shown more than was asked for, and what a seller reviewed is its word.
    """
    asked = values.asked
    return {
        ACCEPTANCE: values.accepted,
        GENERATED: min(values.shown, asked),
        ACCEPTED: min(values.accepted, asked),
        FINAL: min(values.filled, asked),
        NET_BENEFIT: net_values(asked, values.shown, values.accepted, cost_of_wrong),
    }[measure]


def limits(measure: str, cost_of_wrong: float) -> Bounds:
    """Between which numbers a seller's lies."""
    return Bounds(-cost_of_wrong, 1.0) if measure == NET_BENEFIT else Bounds(0.0, 1.0)


def mean(numbers: Sequence[float], within: Bounds, alpha: float) -> Estimate | None:
    """The mean of the `numbers`, in the log's order; None without one."""
    if not numbers:
        return None
    sequence = BettingMean(alpha, within.low, within.high)
    for number in numbers:
        sequence.update(number)
    bounds = sequence.bounds
    return Estimate(sum(numbers) / len(numbers), bounds.low, bounds.high, len(numbers))


def difference(
    numbers: Sequence[tuple[bool, float]], within: Bounds, alpha: float
) -> Estimate | None:
    """Mean of the treated (True) minus the control's, of numbers in the log's order; None where one
    of them has none. `sellers` counts the treated."""
    treated = [number for is_treated, number in numbers if is_treated]
    control = [number for is_treated, number in numbers if not is_treated]
    if not treated or not control:
        return None
    width = within.high - within.low
    scaled = ((is_treated, (number - within.low) / width) for is_treated, number in numbers)
    bounds = BettingDifference.over(scaled, alpha).bounds
    value = sum(treated) / len(treated) - sum(control) / len(control)
    return Estimate(value, bounds.low * width, bounds.high * width, len(treated))
