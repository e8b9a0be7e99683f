"""The settings of what is watched on live traffic: drift, its alarm, and proposals of values."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class DriftSettings(BaseModel):
    """What is compared with what, and what the alarm on falling acceptance does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window_hours: float = Field(
        24.0, gt=0, description="the newest hours, by record time, that are compared"
    )
    reference_hours: float = Field(
        168.0, gt=0, description="with so many hours before them; what the topics keep is there"
    )
    action: Literal["none", "round", "rollback"] = Field(
        "none",
        description="what the alarm does: only shows, begins a round with what is there, or moves "
        "the champion back to its parent, once until the next promotion",
    )
    tolerance: float = Field(
        0.02, ge=0, lt=0.1, description="acceptance may fall by so much and is still good"
    )
    reference: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="acceptance of the champion that it is held against; 0 = that of its first "
        "`reference_sellers`",
    )
    reference_sellers: int = Field(
        400, ge=1, description="reviewed sellers from whom the reference is learned"
    )
    proposal_sellers: int = Field(
        2, ge=1, description="a refused value that fewer sellers typed is no proposal"
    )
