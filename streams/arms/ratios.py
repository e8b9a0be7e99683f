"""Whether the arms of an experiment get their shares of sellers, and every seller their own arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.experiment import Experiment, Slice, place
from streams.arms.observed import Unit
from streams.statistics.srm import SampleRatioSequence


@dataclass(frozen=True)
class Ratios:
    """Whether the arms get their shares: sellers counted, and a p-value that holds at all looks."""

    counts: Mapping[str, int]
    p_value: float


def ratios(experiment: Experiment, units: Sequence[Unit]) -> Ratios | None:
    """The check on sellers whose place lies in the slices that the experiment began with.

    Those slices were open all the time, so their sellers come in the ratio of their widths, whoever
    returns and whenever shares grew; a slice that was added later gets its sellers in a rush.
    """
    first: dict[str, Slice] = {}
    for one in experiment.slices:
        first.setdefault(one.arm, one)
    widths = {name: one.end - one.start for name, one in first.items() if one.end > one.start}
    if len(widths) < 2:
        return None
    sequence = SampleRatioSequence(widths)
    for unit in _once(units):
        at = place(experiment.name, unit.seller)
        if unit.arm in widths and any(one.start <= at < one.end for one in first.values()):
            sequence.update(unit.arm)
    return Ratios(dict(sequence.counts), sequence.p_value)


def _once(units: Sequence[Unit]) -> list[Unit]:
    """Each seller at their first appearance."""
    return list({unit.seller: unit for unit in reversed(units)}.values())[::-1]


def elsewhere(experiment: Experiment, units: Sequence[Unit]) -> int:
    """Sellers who were answered in an arm that is not theirs."""
    found = set()
    for unit in units:
        own = experiment.arm_of(unit.seller)
        if experiment.slices and (own is None or own.name != unit.arm):
            found.add(unit.seller)
    return len(found)
