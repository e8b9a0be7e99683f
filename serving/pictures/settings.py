"""Where pictures may come from, where what was seen is kept, and the limits of getting them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class LookingSettings(BaseModel):
    """How the pictures that a listing names are got. Nothing may be read unless it is allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: Path | None = Field(None, description="files below it may be named as `file:`")
    hosts: tuple[str, ...] = Field(
        (), description="hosts that `https:` may name; `*.example.com` is all below it; none = none"
    )
    buckets: tuple[str, ...] = Field(
        (), description="beginnings of `s3:`, `gs:` and `az:` URLs that may be named"
    )
    store: str = Field(
        "runs/local/pictures",
        description="folder or object-store URL that keeps what was seen, by its hash",
    )
    timeout_s: float = Field(10.0, gt=0, description="patience with one attempt at a picture")
    max_bytes: int = Field(10_000_000, ge=1, description="a longer file is refused")
    max_pixels: int = Field(50_000_000, ge=1, description="a picture of more is refused")
    at_once: int = Field(8, ge=1, description="pictures that a worker gets at the same time")
