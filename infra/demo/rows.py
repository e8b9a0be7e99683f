"""What a run did, as data: `RunReport` is the content of report.json.

It knows neither pictures nor words.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from streams.arms.report import ArmsReport

MEASURED = ("net_benefit", "completeness", "recall", "precision", "correct_completeness")
"""What is judged, each a field of `RoundRow` beside one `<name>_interval`."""

Interval95 = tuple[float, float]


class RoundRow(BaseModel):
    """One adapter: what became of it, and what the judge measured.

    What is in `MEASURED` is of the held-out listings that arrived, the same for all rows, None
    where nothing was measured; shares are 0 to 1. What the gate says rests on the held-out
    listings that it had. Acceptance and latency are of the live listings that the adapter answered.
    """

    model_config = ConfigDict(extra="forbid")

    round: int  # 0 is the base
    adapter: str
    parent: str | None = None
    decision: str
    reason: str | None = None  # why it was decided so, one sentence
    look: int | None = None  # at which the gate decided
    gate_listings: int | None = None  # held-out listings that it decided on
    forgetting: str | None = None  # parent → adapter on listings of earlier rounds
    net_benefit: float | None = None  # (right - cost x wrong) / values that the catalog has
    net_benefit_interval: Interval95 | None = None
    over_base: float | None = None  # net benefit minus the base's
    over_base_bounds: Interval95 | None = None
    completeness: float | None = None
    completeness_interval: Interval95 | None = None
    recall: float | None = None  # right / values that the catalog has
    recall_interval: Interval95 | None = None
    precision: float | None = None  # right / those of them that were also suggested
    precision_interval: Interval95 | None = None
    correct_completeness: float | None = None
    correct_completeness_interval: Interval95 | None = None
    acceptance: float | None = None  # accepted unchanged / suggested
    p50_ms: float | None = None
    p90_ms: float | None = None
    pool_size: int | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None  # of the judging that all rows share


class InputsRow(BaseModel):
    """One adapter on the held-out listings of which the same is seen; fields as in `RoundRow`."""

    model_config = ConfigDict(extra="forbid")

    inputs: str  # text, image, text+image, nothing
    adapter: str
    listings: int
    net_benefit: float
    net_benefit_interval: Interval95
    completeness: float
    completeness_interval: Interval95


class LossPoint(BaseModel):
    """The mean training loss of one optimizer step, nats a token."""

    step: int
    loss: float


class PoolPoint(BaseModel):
    """How many samples the pool held, so many seconds after the start."""

    seconds: float
    samples: int


class ChangedValue(BaseModel):
    """A held-out attribute that base and best candidate answer differently; "" is blank."""

    listing: str  # its title; the id of one without
    attribute: str
    base: str
    new: str
    truth: str
    right: bool


class RunInfo(BaseModel):
    """Where, on what and with which settings a run was made."""

    started: str  # local time, ISO 8601
    machine: str
    commit: str
    seed: int
    catalog: str
    generated: bool
    categories: int | None = None
    heldout: int | None = None  # listings that all were judged on
    seconds: float  # from start to report
    settings: dict[str, Any] = {}


class RunReport(BaseModel):
    """A whole run."""

    run: RunInfo
    rounds: list[RoundRow]
    baselines: list[RoundRow] = []  # the base with a worked example
    by_inputs: list[InputsRow] = []  # where not the same is seen of all listings
    serves: str = "base"  # the adapter that answers in the end
    losses: dict[int, list[LossPoint]] = {}
    pool_history: list[PoolPoint] = []
    samples: list[ChangedValue] = []
    arms: ArmsReport | None = None  # of the A/B run, if there was one
    timings: dict[str, float] = {}  # stage to seconds, in order


def rows_to_show(report: RunReport) -> list[RoundRow]:
    """The base, the other baselines, the rounds."""
    return [*report.rounds[:1], *report.baselines, *report.rounds[1:]]


def best_candidate(report: RunReport) -> RoundRow | None:
    """The round's adapter with the highest net benefit; None where no round's was judged."""
    judged = [row for row in report.rounds[1:] if row.net_benefit is not None]
    return max(judged, key=lambda row: row.net_benefit or 0.0, default=None)
