"""The settings of the trainer; `infra.settings` composes them with those of the other rooms."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.settings import ANSWERS, NEITHER, TRAINING, EndpointSettings

Blank = Literal["mask", "abstain"]
"""Whether an attribute that the catalog leaves blank is left out, or taught as an abstention."""

LogKind = Literal["tensorboard", "wandb", "mlflow"]


class TrainerSettings(BaseModel):
    """From a retrain event to a judged adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    strategy: Literal["progressive", "cumulative", "cumulative-scaled", "replay"] = Field(
        "progressive",
        description="from the parent; from the base on all rounds' listings, in as many steps or "
        "in proportion; or from the parent with earlier listings replayed",
        json_schema_extra=NEITHER,
    )
    replay_share: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="`replay`: share of earlier rounds' listings; 0 = none",
        json_schema_extra=NEITHER,
    )
    average_with_parent: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="`replay`: weight of the parent in the adapter; 0 = none",
        json_schema_extra=NEITHER,
    )
    rank: int = Field(32, ge=1, description="LoRA rank", json_schema_extra=TRAINING)
    alpha: int = Field(
        32, ge=1, description="LoRA alpha; the scale is alpha / rank", json_schema_extra=TRAINING
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="of LoRA", json_schema_extra=TRAINING)
    learning_rate: float = Field(
        1e-5, gt=0, description="after warm-up", json_schema_extra=TRAINING
    )
    final_learning_rate: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of the learning rate that the schedule decays to",
        json_schema_extra=TRAINING,
    )
    warmup_steps: int = Field(
        2, ge=0, description="steps of linear warm-up", json_schema_extra=TRAINING
    )
    steps: int = Field(100, ge=1, description="optimizer steps a round", json_schema_extra=TRAINING)
    batch_size: int = Field(
        32, ge=1, description="listings a step, over all devices", json_schema_extra=TRAINING
    )
    micro_batch_size: int = Field(
        1,
        ge=1,
        description="rows a pass on one device, the step is made of as many as it takes; where "
        "memory does not suffice it is halved",
        json_schema_extra=TRAINING,
    )
    max_length: int = Field(
        8192,
        ge=64,
        description="tokens of one row, and so of one listing",
        json_schema_extra=TRAINING,
    )
    join: Literal["auto", "always", "never"] = Field(
        "auto",
        description="fill a row with several listings, or each has its own; auto joins on CUDA: "
        "on a CPU it gains nothing",
        json_schema_extra=TRAINING,
    )
    gradient_checkpointing: bool = Field(
        False,
        description="compute each layer twice instead of keeping what it computed",
        json_schema_extra=TRAINING,
    )
    blank: Blank = Field(
        "mask",
        description="attributes that the catalog leaves blank: left out (mask), or taught as an "
        "abstention (abstain), which is there for comparison",
        json_schema_extra=TRAINING,
    )
    weight_accepted: float = Field(
        1.0,
        ge=0,
        le=1,
        description="what a value that the seller accepted as suggested counts in the loss, where "
        "one that was typed or changed counts 1; 0 leaves it out",
        json_schema_extra=TRAINING,
    )
    max_grad_norm: float = Field(
        1.0, gt=0, description="gradients are clipped to this norm", json_schema_extra=TRAINING
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="number type; auto measures at the start of a round",
        json_schema_extra=TRAINING,
    )
    processes: int = Field(
        1,
        ge=1,
        description="processes that accelerate launches on this host",
        json_schema_extra=NEITHER,
    )
    checkpoint_every: int = Field(
        10, ge=1, description="steps between resumable checkpoints", json_schema_extra=NEITHER
    )
    seed: int = Field(0, description="of data order and dropout", json_schema_extra=TRAINING)

    registry_dir: Path = Field(
        Path("runs/local/registry"), description="adapters and lineage", json_schema_extra=NEITHER
    )
    work_dir: Path = Field(
        Path("runs/local/rounds"), description="a folder for each round", json_schema_extra=NEITHER
    )
    heldout: Path | None = Field(
        None,
        description="a fixed held-out benchmark, JSONL, that judges beside the stream's held-out "
        "listings",
        json_schema_extra=NEITHER,
    )
    calibration_share: float = Field(
        0.3,
        gt=0,
        lt=1,
        description="of the stream's held-out listings, those that calibrate; the rest judges",
        json_schema_extra=ANSWERS,
    )
    decide_by: Literal["net_benefit", "completeness"] = Field(
        "net_benefit",
        description="what a candidate must gain in to be promoted",
        json_schema_extra=NEITHER,
    )
    cost_of_wrong: float = Field(
        0.25,
        ge=0,
        description="what a wrong suggestion costs the seller, in right ones saved: net benefit = "
        "(right - this x wrong) / values; constrained mode suggests from the probability on at "
        "which the two weigh the same",
        json_schema_extra=ANSWERS,
    )
    least_gain: float = Field(
        0.0,
        description="how much better than its parent a candidate must surely be",
        json_schema_extra=NEITHER,
    )
    margin: float = Field(
        0.02,
        ge=0,
        description="how far below the best former champion a candidate may possibly be, so that "
        "small losses do not add up",
        json_schema_extra=NEITHER,
    )
    bootstrap_draws: int = Field(
        2000, ge=100, description="draws behind each interval", json_schema_extra=NEITHER
    )
    bootstrap_seed: int = Field(
        0, description="the same seed decides the same", json_schema_extra=NEITHER
    )

    target_precision: float | None = Field(
        None,
        ge=0,
        le=1,
        description="right / suggested that constrained mode is to reach by abstaining, in the "
        "place of what `cost_of_wrong` asks for; 0 = abstain never",
        json_schema_extra=ANSWERS,
    )
    eval_in_flight: int = Field(
        4,
        ge=1,
        description="listings asked for at once while judging; 1 times each alone",
        json_schema_extra=NEITHER,
    )
    forgetting: int = Field(
        8,
        ge=0,
        description="listings of each earlier round that are judged again; 0 = off",
        json_schema_extra=NEITHER,
    )
    health_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="the trainer's health and metrics, on 127.0.0.1; 0 = off",
        json_schema_extra=NEITHER,
    )
    heartbeat_s: float = Field(
        5.0, gt=0, description="seconds between signs of life of a round", json_schema_extra=NEITHER
    )
    progress: bool = Field(True, description="show progress bars", json_schema_extra=NEITHER)
    log_to: tuple[LogKind, ...] = Field(
        ("tensorboard",),
        description="where each step's loss, learning rate, label tokens and seconds are logged",
        json_schema_extra=NEITHER,
    )


class Prices(BaseModel):
    """What a comparison counts as cost, in one currency of yours. Without a price no cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    machine_hour: float | None = Field(
        None, ge=0, description="price of an hour of the machine that our own adapters run on"
    )
    million_input_tokens: float | None = Field(
        None, ge=0, description="price of a million tokens that an endpoint reads"
    )
    million_output_tokens: float | None = Field(
        None, ge=0, description="price of a million tokens that an endpoint writes"
    )


class EvaluationSettings(BaseModel):
    """What `listune evaluate` compares an adapter with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prices: Prices = Prices()
    endpoint: EndpointSettings = EndpointSettings()


class KafkaSettings(BaseModel):
    """Where rounds are ordered and told of; `trainer` may not import the settings of `streams`."""

    model_config = ConfigDict(frozen=True)

    bootstrap_servers: str = "127.0.0.1:9092"
    retrain_topic: str = "training.retrain"
    events_topic: str = "model.events"
    forgotten_topic: str = "listune.forgotten"
    group: str = Field("listune.trainer", description="one trainer of it works, others stand by")
    max_event_bytes: int = Field(2 * 1024 * 1024, ge=1024)
    pool: str = Field("", description="take rounds of this pool only; empty = of any")
    push_patience_s: float = Field(
        600.0, gt=0, description="a Triton that does not answer fails the round after this long"
    )
