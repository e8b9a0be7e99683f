"""The settings of what is tried on live traffic: an experiment with arms, and the canary."""

from datetime import UTC, datetime
from typing import Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from schemas.experiment import Answers, Name


class ArmPrices(BaseModel):
    """What the answers of an arm cost, in one currency of yours. Without a price no cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine_hour: float | None = Field(None, ge=0)
    million_input_tokens: float | None = Field(None, ge=0)
    million_output_tokens: float | None = Field(None, ge=0)


class ArmSettings(BaseModel):
    """One arm of an experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    share: float = Field(gt=0, le=1, description="of all sellers")
    answers: Answers = Field(
        description="champion, base, blind, example (the base with a worked example), endpoint, "
        "or adapter:ID"
    )
    prices: ArmPrices | None = Field(
        None, description="of its answers, for the report; none = those of `evaluation.prices`"
    )

    @field_validator("answers", mode="wrap")
    @classmethod
    def _is_one_of_them(cls, answers: object, check: ValidatorFunctionWrapHandler) -> Answers:
        try:
            return str(check(answers))
        except ValidationError:
            raise ValueError(
                "an arm answers with champion, base, blind, example, endpoint or adapter:ID; write "
                "one of these"
            ) from None


class ExperimentSettings(BaseModel):
    """An experiment with arms, such as an A/B test. Without a name none runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
        description="a new one begins an experiment; empty = none runs",
    )
    arms: tuple[ArmSettings, ...] = Field(
        (),
        description="the first is the control; sellers beyond the sum of all shares are in no arm",
    )
    start: datetime | None = Field(None, description="not before this time; none = at once")
    end: datetime | None = Field(None, description="no longer than until this time; none = open")
    guardrail: float = Field(
        0.0,
        ge=0,
        le=1,
        description="an arm whose net benefit is surely lower than the control's by more than this "
        "ends the experiment; 0 = off",
    )

    @field_validator("start", "end")
    @classmethod
    def _in_utc(cls, time: datetime | None) -> datetime | None:
        return time.replace(tzinfo=UTC) if time and time.tzinfo is None else time

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.name:
            if self.arms:
                raise ValueError("an experiment with arms needs a name; give `experiment.name` one")
            return self
        if len(self.arms) < 2:
            raise ValueError("an experiment needs two arms or more, the control first")
        if len({arm.name for arm in self.arms}) < len(self.arms):
            raise ValueError("two arms of the experiment have one name; give each its own")
        total = sum(arm.share for arm in self.arms)
        if total > 1 + 1e-9:
            raise ValueError(f"the shares of the arms are {total:g} in all; lower one to come to 1")
        if self.start and self.end and self.end <= self.start:
            raise ValueError("the experiment would end before it starts; give a later `end`")
        return self


class CanarySettings(BaseModel):
    """The trial of a new adapter on a share of sellers before all get it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="of sellers, who get a new adapter first; 0 = none, all at once",
    )
    cost_of_wrong: float = Field(
        0.25,
        ge=0,
        description="what a suggestion that the seller did not accept costs, in accepted ones: a "
        "seller's net benefit = (accepted - this x not accepted) / asked for",
    )
    error: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="how often, at most, an adapter as good as its parent is called worse: by its "
        "canary, and again by the watch after it; and how often a guardrail ends an experiment "
        "whose arms do no more harm than it allows",
    )
    margin: float = Field(
        0.05,
        ge=0,
        description="an adapter that surely loses less than this in net benefit goes to all",
    )
    most_sellers: int = Field(
        500,
        ge=1,
        description="reviewed sellers of the canary after which an undecided one ends: to all if "
        "the gate had passed it, back if not",
    )
    most_hours: float = Field(
        168.0,
        ge=0,
        le=87_600,
        description="after which an undecided canary ends in the same way, however few sellers "
        "came; 0 = never",
    )
    watch_sellers: int = Field(
        1000,
        ge=0,
        description="further reviewed sellers of an adapter that a canary let go to all, over whom "
        "it is watched and goes back if they get less than its parent's did; 0 = off",
    )
    challengers: bool = Field(
        False, description="whether an adapter that the gate left open is tried so, too"
    )


def utc(time_ms: int) -> str:
    """A time in milliseconds since 1970, for a person."""
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def experiment_ms(time: datetime | None) -> int | None:
    """A setting's time in milliseconds since 1970."""
    return None if time is None else round(time.timestamp() * 1000)
