"""What is kept of historic rounds beside the registry, in `<run folder>/history`.

    begun.json             the catalog, the schema, the base and the settings that they are of
    round-<n>.json         `Planned`: what a round was asked for, until and after it is done
    round-<n>-*.parquet    its manifest, until its adapter is in the registry, which keeps a copy

What a round came to stands in the registry alone. The same command goes on from both; with another
catalog, or what else answers and choices depend on, it is refused.
"""

import dataclasses
import fcntl
import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from infra.catalogs.catalog import Product
from infra.settings import Settings
from schemas.category import CategorySchemas
from schemas.errors import ListuneError
from schemas.events import RetrainRequest
from serving.process.files import write_file
from serving.settings import ServingSettings, fields_that_change
from trainer.settings import TrainerSettings

Kept = TypeVar("Kept", bound=BaseModel)

_CHOICE = {
    *("selection", "k", "heldout_share", "heldout_most", "min_gap"),
    *("max_share_per_category", "max_share_per_group"),
}
"""The settings of `streams` that say which listings a round takes, and which judge it."""


class Begun(BaseModel):
    """What the rounds of a folder depend on. `schema_hashes`: category to the hash of its schema;
    `settings`: by their names in the tree."""

    model_config = ConfigDict(frozen=True)

    catalog: str
    schema_hashes: dict[str, str]
    base_hash: str
    settings: dict[str, Any]

    @classmethod
    def of(
        cls,
        products: Iterable[Product],
        schemas: CategorySchemas,
        settings: Settings,
        base_hash: str,
    ) -> "Begun":
        """What rounds from `products` depend on; the order of the products is none of it."""
        used = sorted(products, key=lambda product: product.product_id)
        told = [dataclasses.asdict(product) for product in used]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        categories = sorted({product.category for product in used})
        return cls(
            catalog=digest,
            schema_hashes={name: schemas[name].hash for name in categories},
            base_hash=base_hash,
            settings=_settings(settings),
        )

    def differs_in(self, other: "Begun") -> str | None:
        """The first thing in which the two differ, in words; None where they are the same."""
        if self.catalog != other.catalog:
            return "the catalog"
        if self.schema_hashes != other.schema_hashes:
            return "the schema"
        if self.base_hash != other.base_hash:
            return "the base model"
        # A later version may have further settings.
        shared = self.settings.keys() & other.settings.keys()
        changed = [name for name in sorted(shared) if self.settings[name] != other.settings[name]]
        return f"the setting {changed[0]}" if changed else None


class Planned(BaseModel):
    """A round that was decided on. asked: the products that the model was asked about for it, and
    in how many seconds."""

    model_config = ConfigDict(frozen=True)

    request: RetrainRequest
    asked: list[str]
    seconds: float


class HistoryFolder:
    """The folder of the historic rounds of one stack."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir.absolute() / "history"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else trains here meanwhile.

        Raises:
            ListuneError: somebody does.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("w") as file:
            try:
                # Of this process, and gone with it however it ends.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ListuneError(
                    f"another `listune bootstrap` is at work in {self.path}; wait for its end"
                ) from None
            yield

    def begun(self) -> Begun | None:
        """What the rounds here depend on; None where none was ever begun.

        Raises:
            ListuneError: the file is damaged.
        """
        return _read(Begun, self.path / "begun.json")

    def begin(self, now: Begun) -> None:
        """Begin here, or go on.

        Raises:
            ListuneError: what is here depends on something else.
        """
        before = self.begun()
        if before is None:
            write_file(self.path / "begun.json", now.model_dump_json(indent=1).encode())
        elif other := before.differs_in(now):
            raise ListuneError(
                f"{other} is not the one that the rounds in {self.path} were begun with; take it "
                "back to go on, or give another --run-dir to begin anew"
            )

    def planned(self, number: int) -> Planned | None:
        """What round `number` was asked for; None before that is decided."""
        return _read(Planned, self.path / f"round-{number}.json")

    def plan(self, planned: Planned) -> None:
        """From now on the round is as planned; its manifest is there before."""
        path = self.path / f"round-{planned.request.round}.json"
        write_file(path, planned.model_dump_json(indent=1).encode())

    def manifest(self, number: int, role: str) -> Path:
        """Where a file of the round's manifest stands until the registry has a copy."""
        return self.path / f"round-{number}-{role}.parquet"

    def tidy(self, number: int) -> None:
        """The registry has the round: its manifest is of no more use here."""
        for path in self.path.glob(f"round-{number}-*.parquet"):
            path.unlink()


def _settings(settings: Settings) -> dict[str, Any]:
    rooms = {
        "streams": settings.streams.model_dump(mode="json", include=_CHOICE),
        "history": settings.history.model_dump(mode="json", include={"candidates"}),
        "trainer": settings.trainer.model_dump(
            mode="json", include=fields_that_change(TrainerSettings, "training", "answers")
        ),
        "serving": settings.serving.model_dump(
            mode="json", include=fields_that_change(ServingSettings, "training", "answers")
        ),
    }
    return {f"{room}.{name}": value for room, own in rooms.items() for name, value in own.items()}


def _read(kind: type[Kept], path: Path) -> Kept | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ListuneError(
            f"{path} cannot be read; remove {path.parent} to begin anew, or restore the file"
        ) from error
