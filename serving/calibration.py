"""How far an adapter's confidence can be trusted, and below what it had better say nothing.

The trainer fits a `Calibration` on validation listings, and it travels in the adapter's header, so
that it is part of the adapter's hash. There is a curve for each mode and kind of value that had
enough examples, and one for all kinds together, which stands in for the others. No torch.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.category import AttributeType
from schemas.events import Mode

POOLED: Literal["*"] = "*"
"""The kind of the curve for values of every kind."""

Kind = AttributeType | Literal["*"]

NEVER = 2.0
"""A threshold that no confidence reaches."""

MAX_STEPS = 32
# Of the JSON in an adapter's header; every curve there can be, with all its steps, needs a third.
MAX_CALIBRATION_CHARACTERS = 64 << 10

Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, ...], Field(min_length=1, max_length=MAX_STEPS)]


class Curve(BaseModel):
    """From confidence to the probability of being right, in rising steps.

    `starts[i]` is the confidence from which on `probabilities[i]` holds; below the first, the first
    holds. An answer less confident than `threshold` is better left blank; None where no threshold
    is wanted, `NEVER` where no answer of this kind is sure enough.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: Mode
    kind: Kind
    starts: Shares
    probabilities: Shares
    threshold: Annotated[float, Field(ge=0, le=NEVER)] | None
    examples: int = Field(ge=1)

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        if len(self.starts) != len(self.probabilities):
            raise ValueError("a curve has as many probabilities as starts")
        for steps in (self.starts, self.probabilities):
            if any(low >= high for low, high in pairwise(steps)):
                raise ValueError("the steps of a curve must rise")
        return self

    def probability(self, confidence: float) -> float:
        """The probability that a value of this confidence is right."""
        return self.probabilities[max(bisect_right(self.starts, confidence) - 1, 0)]


class Calibration(BaseModel):
    """All curves of an adapter, at most one for each mode and kind."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # What the thresholds are for: each answer's own probability, or the precision of all of them
    # together (0 = no thresholds); one of the two.
    least_probability: Share | None = None
    target_precision: Share | None = None
    curves: tuple[Curve, ...]

    @model_validator(mode="after")
    def _is_for_something(self) -> Self:
        if (self.least_probability is None) == (self.target_precision is None):
            raise ValueError("a calibration is for a least probability or for a target precision")
        return self

    @model_validator(mode="after")
    def _curves_differ(self) -> Self:
        if len({(curve.mode, curve.kind) for curve in self.curves}) < len(self.curves):
            raise ValueError("two curves have the same mode and kind")
        return self

    def curve(self, mode: Mode, kind: AttributeType) -> Curve | None:
        """The curve of `kind` in `mode`, else the pooled one; None where there is neither."""
        found = {curve.kind: curve for curve in self.curves if curve.mode is mode}
        return found.get(kind) or found.get(POOLED)

    def threshold(self, mode: Mode, kind: AttributeType) -> float | None:
        """The threshold of `curve`; None for none."""
        curve = self.curve(mode, kind)
        return curve.threshold if curve else None


def abstain_below(
    calibration: Calibration | None, mode: Mode, kind: AttributeType, floor: float
) -> float:
    """The confidence below which an answer is a blank: the larger of `floor` and the threshold.

    Free mode never abstains, as in the paper.
    """
    if mode is Mode.FREE:
        return 0.0
    return max(floor, (calibration.threshold(mode, kind) if calibration else None) or 0.0)
