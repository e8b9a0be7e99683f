"""How often is a value right that the adapter is so sure of? Fitted on held-out listings.

An example is a legal value that was suggested where the catalog has one too; what the catalog
leaves blank is unlabelled. For each mode, and for each kind of value with `MIN_EXAMPLES` of its own
beside the pooled one of all kinds:

- the curve is the isotonic least-squares fit of right (1) or wrong (0) on confidence (Zadrozny and
  Elkan, "Transforming classifier scores into accurate multiclass probability estimates", KDD 2002);
- the threshold is the lowest confidence whose probability on the curve is enough. A suggestion that
  is right with probability p is worth p - c (1 - p) to the seller, c what a wrong one costs in
  right ones saved (`trainer.judging.evaluate`): it is made from p = c / (1 + c) on.

Where a target precision is set instead, the threshold is the lowest confidence at which the
precision of the examples at or above it is surely enough: the lower bound of its one-sided 95 %
interval reaches the target. Two things that the bound does not know of make it a little optimistic:
it is the best of as many thresholds as there are examples, and values of one listing stand or fall
together.

A kind of value that is never sure enough abstains: its threshold is `serving.calibration.NEVER`.
"""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import groupby

from schemas.category import AttributeType
from schemas.completeness import valid_names
from schemas.events import Mode
from schemas.values import matches
from serving.calibration import MAX_STEPS, NEVER, POOLED, Calibration, Curve, Kind
from serving.generation import GenerationResult
from trainer.data.dataset import Row
from trainer.judging.intervals import ONE_SIDED_Z

logger = logging.getLogger(__name__)

MIN_EXAMPLES = 50
"""A kind of value with fewer examples has no curve of its own."""


@dataclass(frozen=True)
class Suggestion:
    """A value that was suggested where the catalog has one."""

    kind: AttributeType
    confidence: float
    right: bool


@dataclass(frozen=True)
class Block:
    """Examples with neighbouring confidences, `start` the lowest of them."""

    start: float
    right: int
    count: int

    @property
    def probability(self) -> float:
        """The share that is right."""
        return self.right / self.count

    def joined(self, higher: "Block") -> "Block":
        """This block and the next one as one."""
        return Block(self.start, self.right + higher.right, self.count + higher.count)


def suggestions(row: Row, result: GenerationResult) -> list[Suggestion]:
    """The examples that one answer gives; none where it does not say how sure it is."""
    valid = valid_names(row.attributes, result.values)
    return [
        Suggestion(
            kind=a.type,
            # Rounding may carry a sure answer beyond 1.
            confidence=min(result.confidence[a.name], 1.0),
            right=matches(a, result.values[a.name], row.values[a.name]),
        )
        for a in row.filled()
        if a.name in valid and a.name in result.confidence
    ]


def calibrate(
    examples: Mapping[Mode, Sequence[Suggestion]],
    cost_of_wrong: float,
    target_precision: float | None = None,
) -> Calibration:
    """The calibration of an adapter that made these suggestions, by mode.

    Args:
        cost_of_wrong: what a wrong suggestion costs, in right ones saved.
        target_precision: right / suggested that thresholds are to reach instead; 0 wants no
            thresholds.
    """
    enough = cost_of_wrong / (1 + cost_of_wrong) if target_precision is None else None
    curves = []
    for mode, all_kinds in examples.items():
        if not all_kinds:
            logger.warning("calibration: no suggestion in %s mode can be compared", mode)
            continue
        curves.append(_curve(mode, POOLED, all_kinds, enough, target_precision))
        for kind in AttributeType:
            own = [example for example in all_kinds if example.kind is kind]
            if len(own) >= MIN_EXAMPLES:
                curves.append(_curve(mode, kind, own, enough, target_precision))
    return Calibration(
        least_probability=enough, target_precision=target_precision, curves=tuple(curves)
    )


def by_confidence(examples: Iterable[Suggestion]) -> list[Block]:
    """A block for each confidence, rising."""
    ordered = sorted(examples, key=lambda example: example.confidence)
    blocks = []
    for confidence, group in groupby(ordered, key=lambda example: example.confidence):
        right = [example.right for example in group]
        blocks.append(Block(confidence, sum(right), len(right)))
    return blocks


def isotonic(blocks: Iterable[Block]) -> list[Block]:
    """The least-squares fit to `blocks` that never falls, as blocks whose probabilities rise.

    Pool adjacent violators (Ayer et al., "An empirical distribution function for sampling with
    incomplete information", 1955): a block that is not above the one before is joined with it.
    """
    fitted: list[Block] = []
    for block in blocks:
        while fitted and fitted[-1].probability >= block.probability:
            block = fitted.pop().joined(block)
        fitted.append(block)
    return fitted


def lowest_threshold(blocks: Sequence[Block], target_precision: float) -> float | None:
    """The lowest start of `blocks` from which on precision surely reaches the target, or None."""
    threshold, right, count = None, 0, 0
    for block in reversed(blocks):
        right, count = right + block.right, count + block.count
        if precision_bound(right, count) >= target_precision:
            threshold = block.start
    return threshold


def precision_bound(right: int, count: int) -> float:
    """The lower bound of the one-sided 95 % score interval of right / count.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    share, spread = right / count, ONE_SIDED_Z**2 / count
    error = ONE_SIDED_Z * math.sqrt((share * (1 - share) + spread / 4) / count)
    return max(0.0, (share + spread / 2 - error) / (1 + spread))


def _curve(
    mode: Mode,
    kind: Kind,
    examples: Sequence[Suggestion],
    enough: float | None,
    target_precision: float | None,
) -> Curve:
    blocks = by_confidence(examples)
    steps = isotonic(blocks)
    if enough is not None:
        sure = [step.start for step in steps if step.probability >= enough]
        # Below the lowest confidence that was seen the lowest step holds.
        threshold: float | None = 0.0 if len(sure) == len(steps) else next(iter(sure), NEVER)
    elif target_precision:
        lowest = lowest_threshold(blocks, target_precision)
        threshold = NEVER if lowest is None else lowest
    else:
        threshold = None
    if threshold == NEVER:
        logger.warning(
            "calibration: no answer of kind %s is sure enough in %s mode (%d examples); "
            "all are left blank in constrained mode",
            kind, mode, len(examples),
        )  # fmt: skip
    few = _few(steps)
    return Curve(
        mode=mode,
        kind=kind,
        starts=tuple(step.start for step in few),
        probabilities=tuple(step.probability for step in few),
        threshold=threshold,
        examples=len(examples),
    )


def _few(blocks: Sequence[Block]) -> list[Block]:
    """At most `MAX_STEPS` blocks: neighbours are joined, which keeps them rising."""
    size = math.ceil(len(blocks) / MAX_STEPS)
    groups = (blocks[start : start + size] for start in range(0, len(blocks), size))
    return [reduce(Block.joined, group) for group in groups]
