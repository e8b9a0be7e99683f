"""Settings of the local stack: where its parts are kept, which ports it takes, which base model.

A plain pydantic model: infra.settings composes it, so LISTUNE_LOCAL__KAFKA_PORT=19092 reaches it
from the environment and `[local] kafka_port = 19092` from the settings file.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

Port = Annotated[int, Field(ge=0, le=65535)]


class LocalSettings(BaseModel):
    """What the local stack needs to know; every server binds 127.0.0.1."""

    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True)

    cache_dir: Path = Field(
        default=Path("~/.cache/listune"),
        description="Where Kafka, Triton and the base model are kept, about 720 MB.",
    )
    kafka_port: Port = Field(default=9092, description="0 chooses a free one, as for every port.")
    kafka_controller_port: Port = Field(default=9093, description="Of Kafka's controller.")
    triton_grpc_port: Port = Field(default=8001, description="Requests and pushes.")
    triton_metrics_port: Port = Field(default=8002, description="Triton's own metrics.")
    sql_port: Port = Field(default=9494, description="The public ad-hoc SQL server.")
    sql_http_port: Port = Field(default=9495, description="The same over HTTP.")
    curate_health_port: Port = Field(default=9471, description="Curate's health and metrics.")
    predict_health_port: Port = Field(default=9472, description="Predict's health and metrics.")
    trainer_health_port: Port = Field(default=9473, description="The trainer's.")
    predict_workers: int = Field(default=1, ge=1, description="Predict processes.")
    strict_ports: bool = Field(
        default=False,
        description="False: a port that is taken is replaced by a free one; true: it is an error.",
    )
    kafka_heap: str = Field(
        default="512m", pattern=r"^[1-9][0-9]*[kmg]$", description="Of Kafka's Java runtime."
    )
    base_model: str | None = Field(
        default=None,
        description="None: SmolLM2-135M-Instruct from the cache; else a folder or a hub id.",
    )

    @field_validator("cache_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()


PORTS = tuple(name for name in LocalSettings.model_fields if name.endswith("_port"))
"""The settings that are ports, in the order in which they are chosen."""
