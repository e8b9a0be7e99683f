"""The settings of serving; `infra.settings` composes them with those of the other rooms."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from schemas.events import Mode

Change = Literal["training", "answers", "neither"]
"""What a setting changes: the adapter that a training gives, what an adapter answers, or neither.

Not counted is what is known by a hash of its own (the base model, listings, a plan of training),
and how fast something is computed, though it may round otherwise. What changes how a listing is
asked changes both: that is marked `training`.
"""

TRAINING: JsonDict = {"changes": "training"}
ANSWERS: JsonDict = {"changes": "answers"}
NEITHER: JsonDict = {"changes": "neither"}


def fields_that_change(settings: type[BaseModel], *changes: Change) -> set[str]:
    """The names of the settings that are marked with one of `changes`."""
    marks: list[JsonDict] = [{"changes": change} for change in changes]
    fields = settings.model_fields.items()
    return {name for name, field in fields if field.json_schema_extra in marks}


class ServingSettings(BaseModel):
    """What generation and the Triton side of it can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_model: str = Field(
        "",
        description="folder or hub id of the base model; empty = bundled",
        json_schema_extra=NEITHER,
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="number type; auto measures at start-up", json_schema_extra=ANSWERS
    )
    device: str = Field("auto", description="cpu, cuda, or auto", json_schema_extra=NEITHER)
    threads: int = Field(
        0, ge=0, description="torch threads; 0 = all cores", json_schema_extra=NEITHER
    )
    mode: Mode = Field(
        Mode.FREE,
        description="free or constrained, where a request names none",
        json_schema_extra=ANSWERS,
    )
    batches: int = Field(
        0,
        ge=0,
        description="B, branches a listing's attributes are split into; 0 = one each",
        json_schema_extra=TRAINING,
    )
    max_trunk_tokens: int = Field(
        1024, ge=16, description="longer product texts are cut to this", json_schema_extra=TRAINING
    )
    max_answer_tokens: int = Field(
        32,
        ge=1,
        description="cap on the new tokens of an answer; an allowed value of up to 64, a date and "
        "a yes or no always have room",
        json_schema_extra=TRAINING,
    )
    hint_values: int = Field(
        12,
        ge=0,
        description="allowed values are listed up to this many",
        json_schema_extra=TRAINING,
    )
    abstain_below: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="constrained mode drops values less probable than this; an adapter's own "
        "threshold counts where it is higher",
        json_schema_extra=ANSWERS,
    )
    max_merged: int = Field(
        2,
        ge=0,
        description="merged adapters kept in memory, LRU; 0 = none",
        json_schema_extra=NEITHER,
    )
    max_adapters: int = Field(
        16, ge=1, description="adapters kept loaded, LRU", json_schema_extra=NEITHER
    )
    max_running: int = Field(
        0,
        ge=0,
        description="listings decoded side by side; 0 = 8 on a CPU, 64 on a GPU",
        json_schema_extra=NEITHER,
    )
    max_queue: int = Field(
        64,
        ge=1,
        description="requests waiting before `try later` is answered",
        json_schema_extra=NEITHER,
    )
    adapter_store: Path = Field(
        Path("runs/local/adapters"),
        description="the engine's own store of pushed adapters",
        json_schema_extra=NEITHER,
    )
    triton_url: str = Field(
        "127.0.0.1:8001", description="gRPC address of Triton", json_schema_extra=NEITHER
    )
    model_name: str = Field(
        "listune", description="of the model in Triton", json_schema_extra=NEITHER
    )
    timeout_s: float = Field(
        120.0, gt=0, description="client time-out of one generation", json_schema_extra=NEITHER
    )
