"""What a round's process is told and what it leaves behind: plain data, read without torch.

<work_dir>/<adapter id>/job.json        `RoundJob`; of a further look in <adapter id>/look-<number>
                        progress.json   `trainer.progress.StageProgress`, while it runs
                        losses.jsonl    one training step a line
                        result.json     `RoundResult`, or
                        failure.json    `Failure`
"""

import hashlib
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from schemas.category import Attribute
from schemas.events import RetrainRequest, RoundMetrics
from serving.listing import Listing
from serving.settings import ServingSettings
from trainer.settings import TrainerSettings

EXIT_REFUSED = 3
"""Exit status of a round that cannot be completed; `failure.json` says why."""

JOB, RESULT = "job.json", "result.json"
FAILURE, PROGRESS = "failure.json", "progress.json"
SIDE_BY_SIDE = "side-by-side.json"
ONE_EXAMPLE = "base, one example"
"""The name of the base that is shown a worked example before each listing."""


class Verdict(StrEnum):
    """What the gate can say."""

    PROMOTE = "promote"
    REJECT = "reject"
    CHALLENGER = "challenger"


class Difference(BaseModel):
    """Candidate minus another adapter in one metric, with the gate's one-sided bounds."""

    model_config = ConfigDict(frozen=True)

    value: float
    lower: float
    upper: float
    error: float  # standard error


class Decision(BaseModel):
    """The gate's verdict, one sentence why, and what it rests on."""

    model_config = ConfigDict(frozen=True)

    kind: Verdict
    reason: str
    by: str  # the metric that decided
    differences: dict[str, Difference]  # candidate - parent, by metric
    by_inputs: dict[str, Difference] = {}  # in `by`, by what is seen; empty where it is one kind
    against_best: Difference | None = None  # in `by`; None where the parent is the best there was
    best_id: str | None = None
    margin: float
    listings: int
    look: int = 1
    needed_listings: int | None = None  # of a challenger, where more would settle it


class RoundJob(BaseModel):
    """What a round's process is told."""

    model_config = ConfigDict(frozen=True)

    retrain: RetrainRequest
    trainer: TrainerSettings
    serving: ServingSettings  # `base_model` names the base
    folder: Path  # the round's own
    forgotten: frozenset[str] = frozenset()  # SHA-256 of listings that the round leaves out


class Trained(BaseModel):
    """How the candidate came about, beside its file; the training log has its losses."""

    model_config = ConfigDict(frozen=True)

    dtype: str
    trainable_parameters: int
    steps: int
    label_tokens: int
    seconds: float
    first_loss: float
    last_loss: float
    listings: int
    earlier_listings: int = 0  # of these, from earlier rounds
    parent_share: float = 0.0  # of the parent in a weight-space average; 0: none was made
    average_error: float | None = None  # what that average's cut to the rank lost, relative


class Forgetting(BaseModel):
    """Parent and candidate on held-out listings of an earlier round, by metric."""

    model_config = ConfigDict(frozen=True)

    round: int
    listings: int
    parent: dict[str, float]
    candidate: dict[str, float]

    def __str__(self) -> str:
        """Such as `round 1 (8 listings): recall 0.550 → 0.530, …`."""
        moves = (
            f"{metric} {before:.3f} → {self.candidate[metric]:.3f}"
            for metric, before in self.parent.items()
        )
        return f"round {self.round} ({self.listings} listings): {', '.join(moves)}"


class CanaryListing(BaseModel):
    """A held-out listing that a pushed adapter is tried on."""

    model_config = ConfigDict(frozen=True)

    listing: Listing
    attributes: tuple[Attribute, ...]
    pictures: tuple[str, ...] = ()  # SHA-256 of what was seen of its pictures


class RoundResult(BaseModel):
    """A finished round, or a further look at one: that has trained nothing."""

    model_config = ConfigDict(frozen=True)

    request: str = ""  # the `request_hash` that it answers; empty in older ones
    adapter_id: str
    adapter_hash: str
    adapter_path: str  # in the registry, absolute
    decision: Decision
    metrics: RoundMetrics
    parent_metrics: RoundMetrics
    trained: Trained | None = None
    train_seconds: float  # of its training, which a further look only tells again
    eval_seconds: float  # of this round, calibration included; a parent judged before costs nothing
    evaluation: str  # file with the candidate's answers
    parent_evaluation: str
    losses: str | None = None  # JSONL, one step a line
    canary: CanaryListing
    forgetting: list[Forgetting] = []  # by earlier round, where there is one and it is looked at


class Failure(BaseModel):
    """Why a round cannot be completed, in one sentence."""

    model_config = ConfigDict(frozen=True)

    reason: str


class SideBySideJob(BaseModel):
    """What `trainer.side_by_side` is told."""

    model_config = ConfigDict(frozen=True)

    trainer: TrainerSettings
    serving: ServingSettings  # `base_model` names the base
    folder: Path  # the job's own
    heldout: Path  # JSONL; all arms answer these
    examples: Path | None = None  # JSONL of listings that have arrived, none of them held out
    adapters: list[str] = []  # of the registry


class Contender(BaseModel):
    """One that was asked, side by side with others."""

    model_config = ConfigDict(frozen=True)

    name: str  # `base`, `ONE_EXAMPLE`, or an adapter's id
    metrics: RoundMetrics
    difference: Difference | None  # in net benefit to the base, with two-sided 95 % bounds
    evaluation: Path  # with its answers
    seconds: float


ARMS = TypeAdapter(list[Contender])


def adapter_id(request: RetrainRequest) -> str:
    """The name of the adapter that `request` makes: never given twice.

    Rounds are counted from 1 in each pool, and several may share a disk and a Triton. So the name
    ends with six digits that stand for the Kafka that the request is from; older ones lack them.
    """
    name = f"{request.pool}-r{request.round}-a{request.attempt}"
    if request.cluster_id is None:
        return name
    kafka = f"{request.cluster_id} {request.topic_id}"
    return f"{name}-{hashlib.sha256(kafka.encode()).hexdigest()[:6]}"


def request_hash(request: RetrainRequest) -> str:
    """SHA-256 of all that a round is asked for: its files and parent are among it."""
    # A field that a later version adds leaves it as it is.
    said = request.model_dump_json(exclude_defaults=True)
    return hashlib.sha256(said.encode()).hexdigest()


def round_folder(work_dir: Path, request: RetrainRequest) -> Path:
    """Where the round's process works, a further look in a folder of its own."""
    folder = work_dir / adapter_id(request)
    return folder if request.look == 1 else folder / f"look-{request.look}"
