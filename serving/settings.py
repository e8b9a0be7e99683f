"""The settings of serving; `infra.settings` composes them with those of the other rooms."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.events import Mode


class ServingSettings(BaseModel):
    """What generation and the Triton side of it can be told."""

    model_config = ConfigDict(extra="forbid")

    base_model: str = Field("", description="folder or hub id of the base model; empty = bundled")
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="number type; auto measures at start-up"
    )
    device: str = Field("auto", description="cpu, cuda, or auto")
    threads: int = Field(0, ge=0, description="torch threads; 0 = all cores")
    mode: Mode = Field(Mode.FREE, description="free or constrained, where a request names none")
    batches: int = Field(
        0, ge=0, description="B, branches a listing's attributes are split into; 0 = one each"
    )
    max_trunk_tokens: int = Field(1024, ge=16, description="longer product texts are cut to this")
    max_answer_tokens: int = Field(
        32,
        ge=1,
        description="cap on the new tokens of an answer; an allowed value of up to 64, a date and "
        "a yes or no always have room",
    )
    hint_values: int = Field(12, ge=0, description="allowed values are listed up to this many")
    abstain_below: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="constrained mode drops values less probable than this; an adapter's own "
        "threshold counts where it is higher",
    )
    max_merged: int = Field(2, ge=0, description="merged adapters kept in memory, LRU; 0 = none")
    max_adapters: int = Field(16, ge=1, description="adapters kept loaded, LRU")
    max_running: int = Field(
        0, ge=0, description="listings decoded side by side; 0 = 8 on a CPU, 64 on a GPU"
    )
    max_queue: int = Field(64, ge=1, description="requests waiting before `try later` is answered")
    adapter_store: Path = Field(
        Path("runs/local/adapters"), description="the engine's own store of pushed adapters"
    )
    triton_url: str = Field("127.0.0.1:8001", description="gRPC address of Triton")
    model_name: str = Field("listune", description="of the model in Triton")
    timeout_s: float = Field(120.0, gt=0, description="client time-out of one generation")
