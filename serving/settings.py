"""The settings of serving; `infra.settings` composes them with those of the other rooms."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from schemas.events import Mode
from serving.pictures.picture import MAX_EDGE, MOST_PICTURES
from serving.pictures.settings import LookingSettings

Change = Literal["training", "answers", "neither"]
"""What a setting changes: the adapter that a training gives, what an adapter answers, or neither.

Not counted is what is known by a hash of its own (base model, encoder, listings, a plan of
training), and how fast something is computed, though it may round otherwise. What changes how a
listing is asked changes both: that is marked `training`.
"""

TRAINING: JsonDict = {"changes": "training"}
ANSWERS: JsonDict = {"changes": "answers"}
NEITHER: JsonDict = {"changes": "neither"}


def fields_that_change(settings: type[BaseModel], *changes: Change) -> set[str]:
    """The names of the settings that are marked with one of `changes`."""
    marks: list[JsonDict] = [{"changes": change} for change in changes]
    fields = settings.model_fields.items()
    return {name for name, field in fields if field.json_schema_extra in marks}


class EndpointSettings(BaseModel):
    """An OpenAI-compatible endpoint, and how it is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(
        "",
        # No user and password: the settings lie in a file, and are shown in messages.
        pattern=r"^(https?://[^/@\s]+(/\S*)?)?$",
        description="address up to `/v1`; empty = none is asked",
    )
    model: str = Field("", description="the model's name there")
    key_variable: str = Field(
        "LISTUNE_ENDPOINT_KEY",
        # Whoever puts the key itself here is told so, instead of finding it in settings.json.
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that holds the API key; without it none is sent",
    )
    timeout_s: float = Field(60.0, gt=0, description="patience with one attempt")
    attempts: int = Field(4, ge=1, description="attempts in all, with growing pauses between them")
    pause_s: float = Field(1.0, ge=0, description="the first pause; each next one is twice as long")
    max_tokens: int = Field(1024, ge=1, description="cap on an answer")
    answer_format: Literal["text", "json_object", "json_schema"] = Field(
        "text",
        description="how it is held to JSON: by the prompt alone, or by `response_format`, with "
        "the category's attributes as a JSON Schema or without; not every server knows that",
    )


class LiveEndpointSettings(EndpointSettings):
    """The endpoint that may answer sellers who wait, and what it may cost them and you."""

    timeout_s: float = Field(10.0, gt=0, description="patience with one attempt")
    attempts: int = Field(2, ge=1, description="attempts in all, with growing pauses between them")
    pause_s: float = Field(
        0.5, ge=0, description="the first pause, half of it by chance; each next one twice as long"
    )
    patience_s: float = Field(
        20.0, gt=0, description="all attempts and pauses together; a request's own may be shorter"
    )
    in_flight: int = Field(8, ge=1, description="asked at once by a predict worker")
    requests_per_s: float = Field(
        0.0, ge=0, description="of a predict worker, with bursts of a second's; 0 = no limit"
    )
    requests_a_day: int = Field(
        0, ge=0, description="attempts of all workers of this machine in a UTC day; 0 = no limit"
    )
    budget_a_day: float = Field(
        0.0,
        ge=0,
        description="money for all workers of this machine in a UTC day, by the two prices below; "
        "0 = no limit",
    )
    million_input_tokens: float | None = Field(
        None, ge=0, description="price of a million tokens that it reads"
    )
    million_output_tokens: float | None = Field(
        None, ge=0, description="price of a million tokens that it writes"
    )
    spend_file: Path = Field(
        Path("runs/endpoint-spend.json"), description="what the day has cost so far"
    )
    failures_to_open: int = Field(
        5, ge=1, description="failed attempts in a row after which it is left alone"
    )
    open_s: float = Field(
        30.0, gt=0, description="so long, before one request tries whether it is back"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.url and not self.model:
            raise ValueError("an endpoint that answers live needs `model`, its model's name")
        prices = (self.million_input_tokens, self.million_output_tokens)
        if self.budget_a_day and None in prices:
            raise ValueError(
                "`budget_a_day` needs both prices; give `million_input_tokens` and "
                "`million_output_tokens`"
            )
        return self


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
    decoder: Literal["auto", "openvino", "torch"] = Field(
        "auto",
        description="what computes on a CPU: OpenVINO's compiled graph, or PyTorch; auto measures "
        "at start-up, and takes PyTorch where OpenVINO cannot be had",
        json_schema_extra=ANSWERS,
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
    pictures: int = Field(
        0,
        ge=0,
        le=MOST_PICTURES,
        description="most pictures of a listing that are looked at; 0 = none",
        json_schema_extra=TRAINING,
    )
    picture_edge: int = Field(
        384,
        ge=32,
        le=MAX_EDGE,
        description="pixels of the longer edge that a picture is shrunk to",
        json_schema_extra=TRAINING,
    )
    picture_place: Literal["first", "after_category", "last"] = Field(
        "after_category",
        description="where in a listing's text its pictures stand",
        json_schema_extra=TRAINING,
    )
    encoder: str = Field(
        "",
        description="folder of a frozen picture encoder, eyes for a base that has none; empty = "
        "the base's own, or none",
        json_schema_extra=NEITHER,
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
        description="decoders kept in memory that have one adapter merged in, LRU; 0 = none",
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
    looking: LookingSettings = Field(LookingSettings(), json_schema_extra=NEITHER)
    endpoint: LiveEndpointSettings = Field(LiveEndpointSettings(), json_schema_extra=NEITHER)
