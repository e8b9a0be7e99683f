"""An experiment on live traffic: its arms, and which of them a seller is in.

A seller's place is a keyed hash, a number from 0 up to 1; an arm has *slices* of that range. So the
arm of a seller follows from the experiment and the seller alone: a retry, a restart or another
worker finds the same. The range of no arm lies in the middle. A share grows only into it, from its
edges: the control's from the left, the others' from the right. So nobody ever changes arms.

The unit is the seller; a listing without `seller_id` is its own.

A canary is an experiment too: its arms are the parent, which is the control, and the new adapter.
"""

import hashlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

CHAMPION, BLIND, EXAMPLE, ENDPOINT = "champion", "blind", "example", "endpoint"
ADAPTER = "adapter:"
CANARY = "canary:"
"""What the name of a canary begins with; its adapter's id follows."""
PARENT_ARM, CANARY_ARM = "parent", "canary"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]
Answers = Annotated[
    str, Field(pattern=r"^(champion|base|blind|example|endpoint|adapter:.{1,200})$")
]
"""What answers in an arm: the champion; the base; the base with a worked example; nobody (`blind`);
an OpenAI-compatible endpoint; or one published adapter, by its id."""

ROUNDING = 1e-9


class Arm(BaseModel):
    """An arm of an experiment that runs. `adapter_*`: of one certain adapter, if that answers."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    name: Name
    answers: Answers
    adapter_id: str | None = None
    adapter_hash: str | None = None
    adapter_uri: str | None = None


class Slice(BaseModel):
    """The places from `start` up to, not including, `end` belong to `arm`."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    arm: Name
    start: float = Field(ge=0, le=1)
    end: float = Field(ge=0, le=1)


class Experiment(BaseModel):
    """An experiment as the control log has it. The first arm is the control.

    `ends_ms`: after the time of a request in Kafka it is over; None where it has no end.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    name: Name
    arms: tuple[Arm, ...] = Field(min_length=1)
    slices: tuple[Slice, ...] = ()
    ends_ms: int | None = None

    @model_validator(mode="after")
    def _slices_are_apart(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("two arms have one name; give each its own")
        if unknown := {one.arm for one in self.slices} - set(names):
            raise ValueError(f"a slice names the arm {min(unknown)!r}, which is not there")
        taken = sorted((one.start, one.end) for one in self.slices)
        if any(end > start + ROUNDING for (_, end), (start, _) in pairwise(taken)):
            raise ValueError("two slices overlap; a seller would be in two arms")
        return self

    @property
    def control(self) -> Arm:
        """The arm that the others are compared with."""
        return self.arms[0]

    @property
    def is_canary(self) -> bool:
        """Whether it is the conductor's own trial of a new adapter."""
        return self.name.startswith(CANARY)

    def arm_of(self, unit: str) -> Arm | None:
        """The arm of a seller (or of a listing without one); None where it is in none."""
        at = place(self.name, unit)
        for one in self.slices:
            if one.start <= at < one.end:
                return next(arm for arm in self.arms if arm.name == one.arm)
        return None

    def shares(self) -> dict[str, float]:
        """Of all sellers, how many are in each arm, 0 to 1."""
        found = dict.fromkeys((arm.name for arm in self.arms), 0.0)
        for one in self.slices:
            found[one.arm] += one.end - one.start
        return found

    def grown(self, shares: Mapping[str, float]) -> "Experiment":
        """The same with larger shares, taken from the range that belongs to no arm.

        Raises:
            ValueError: a share is smaller than it was, or there is not so much room.
        """
        slices, had = list(self.slices), self.shares()
        left = max((one.end for one in slices if one.arm == self.control.name), default=0.0)
        right = min((one.start for one in slices if one.arm != self.control.name), default=1.0)
        for arm in self.arms:
            more = shares.get(arm.name, had[arm.name]) - had[arm.name]
            if more < -ROUNDING:
                raise ValueError(
                    f"the share of arm {arm.name!r} would fall from {had[arm.name]:g} to "
                    f"{shares[arm.name]:g}, and sellers would change arms; begin an experiment of "
                    "another name"
                )
            if more <= ROUNDING:
                continue
            if more > right - left + ROUNDING:
                raise ValueError(
                    f"the shares of experiment {self.name!r} are more than 1 in all; lower one"
                )
            if arm is self.control:
                slices.append(Slice(arm=arm.name, start=left, end=min(left + more, right)))
                left = min(left + more, right)
            else:
                slices.append(Slice(arm=arm.name, start=max(right - more, left), end=right))
                right = max(right - more, left)
        return self.model_copy(update={"slices": tuple(slices)})


def place(experiment: str, unit: str) -> float:
    """Where a seller stands in an experiment's range: uniform from 0 up to 1, keyed by its name, so
    that another experiment divides the same sellers in another way."""
    key = hashlib.sha256(experiment.encode("utf-8", "surrogatepass")).digest()
    name = unit.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(name, digest_size=8, key=key).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53
