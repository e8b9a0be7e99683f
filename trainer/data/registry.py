"""Where adapters are kept for good: a folder each, immutable, with its lineage.

    <registry>/<adapter id>/adapter.safetensors   the adapter file that is pushed
                            lineage.json          parent, round, data, settings, metrics, decision
                            data/*.parquet        the listings it was trained on

Rejected adapters are kept too. A folder appears whole or not at all and is never written again, but
for listings that are forgotten: they go out of its data. An adapter id is never reused.
"""

import os
import re
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from schemas.events import BASE_ADAPTER, ManifestFile, RetrainRequest, RoundMetrics, Source
from serving.adapter_file import AdapterFile, read_adapter, to_peft_folder
from serving.errors import AdapterError
from serving.process.files import write_file
from trainer.data.dataset import file_hash
from trainer.data.parquet import erase, erased_from
from trainer.errors import RegistryError
from trainer.results import Decision, Forgetting

ADAPTER = "adapter.safetensors"
LINEAGE = "lineage.json"


class Lineage(BaseModel):
    """Where an adapter comes from and how it was judged."""

    model_config = ConfigDict(frozen=True)

    adapter_id: str
    adapter_hash: str
    parent_id: str
    parent_hash: str
    base_hash: str
    pool: str
    round: int
    attempt: int
    cluster_id: str | None = None  # of the Kafka that asked for it; None in older ones
    source: Source = "stream"  # of the listings of its own round
    strategy: str
    data: list[ManifestFile]  # paths within the registry's folder of this adapter
    trained_on: list[str]  # data set hashes in the order of training, earlier rounds' first
    settings: dict[str, object]  # the trainer's
    serving: dict[str, object]  # those under which it was judged
    dtype: str
    steps: int
    earlier_listings: int = 0  # trained on besides those of `data`
    parent_share: float = 0.0  # of the parent in a weight-space average; 0: none was made
    average_error: float | None = None  # relative, of that average's cut to the rank
    label_tokens: int
    trainable_parameters: int
    train_seconds: float
    eval_seconds: float
    created_ms: int
    heldout_hash: str
    # Of the former champions, the parent among them, the best on the held-out listings of then.
    best_id: str = BASE_ADAPTER
    best_hash: str = BASE_ADAPTER
    metrics: RoundMetrics
    parent_metrics: RoundMetrics
    decision: Decision
    forgetting: list[Forgetting] = []


@dataclass(frozen=True)
class Entry:
    """An adapter in the registry."""

    folder: Path
    lineage: Lineage

    @property
    def path(self) -> Path:
        """The adapter file."""
        return self.folder / ADAPTER

    def data(self) -> list[ManifestFile]:
        """The listings it was trained on in its own round, as files that can be read."""
        return [f.model_copy(update={"path": str(self.folder / f.path)}) for f in self.lineage.data]

    def read(self) -> AdapterFile:
        """The adapter, checked against its lineage.

        Raises:
            RegistryError: the file is not the one that was put here.
        """
        return read_checked(self.path, self.lineage.adapter_hash)


class Registry:
    """The adapters below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entries(self) -> list[Entry]:
        """All adapters, the oldest first."""
        if not self.folder.is_dir():
            return []
        found = [self._entry(path.parent) for path in self.folder.glob(f"[!.]*/{LINEAGE}")]
        return sorted(found, key=lambda entry: (entry.lineage.created_ms, entry.folder.name))

    def get(self, adapter_id: str) -> Entry:
        """The adapter called `adapter_id`.

        Raises:
            RegistryError: there is none.
        """
        if not self.has(adapter_id):
            raise RegistryError(
                f"no adapter {adapter_id!r} in {self.folder}; `listune models` lists those there"
            )
        return self._entry(self.folder / adapter_id)

    def path(self, adapter_id: str) -> Path:
        """Where the file of `adapter_id` is kept, or will be."""
        return self.folder / adapter_id / ADAPTER

    def has(self, adapter_id: str) -> bool:
        """Whether there is an adapter called `adapter_id`."""
        return _is_name(adapter_id) and (self.folder / adapter_id / LINEAGE).is_file()

    def put(self, blob: bytes, lineage: Lineage, data: Sequence[ManifestFile]) -> Entry:
        """Keep an adapter, its lineage and copies of its data. The same one again changes nothing.

        Raises:
            RegistryError: the id names another adapter already, or the folder cannot be written.
        """
        if not _is_name(lineage.adapter_id):
            raise RegistryError(f"{lineage.adapter_id!r} is no adapter id: use a-z, 0-9, - and _")
        if self.has(lineage.adapter_id):
            there = self.get(lineage.adapter_id)
            if there.lineage.adapter_hash == lineage.adapter_hash:
                return there
            raise RegistryError(
                f"adapter id {lineage.adapter_id!r} already names another adapter; an id is never "
                "reused, give the round a new attempt"
            )
        folder = self.folder / lineage.adapter_id
        aside = self.folder / f".{lineage.adapter_id}.{os.getpid()}"
        for left in self.folder.glob(f".{lineage.adapter_id}.*"):
            shutil.rmtree(left)  # of a round that was killed here
        try:
            self._write(aside, blob, lineage, data)
            aside.rename(folder)
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            raise RegistryError(
                f"the registry {self.folder} cannot be written: {error.strerror}; free space or "
                "mend its rights"
            ) from error
        return self._entry(folder)

    def expect(self, adapter_id: str, request: RetrainRequest) -> None:
        """Makes sure that the id is free, or names what this very request makes.

        Raises:
            RegistryError: it names the adapter of another round; nothing is to be trained.
        """
        if not self.has(adapter_id):
            return
        found = self.get(adapter_id).lineage
        same = found.parent_hash == request.parent_hash
        if request.look == 1:  # a further look has other files: the held-out listings of then
            same = same and _hashes(found.data) == _hashes(request.files)
        if not same:
            raise RegistryError(
                f"{self.folder / adapter_id} is of another round, trained from "
                f"{found.parent_id!r} on other listings or another parent; two environments share "
                "this registry: give each a trainer.registry_dir of its own"
            )

    def export(self, adapter_id: str, folder: Path) -> None:
        """Write the adapter as a folder that `peft.PeftModel.from_pretrained` loads.

        Raises:
            RegistryError: there is none, or its file is damaged.
        """
        to_peft_folder(self.get(adapter_id).read().blob, folder)

    def chain(self, adapter_id: str) -> list[Entry]:
        """The ancestry of `adapter_id` from the first round up to itself; empty for the base.

        Raises:
            RegistryError: an ancestor is not here.
        """
        entries: list[Entry] = []
        while adapter_id != "base":
            entry = self.get(adapter_id)
            entries.insert(0, entry)
            adapter_id = entry.lineage.parent_id
        return entries

    def erase(self, forgotten: Collection[str]) -> int:
        """Takes forgotten listings out of the data of all adapters; how many files changed.

        Args:
            forgotten: SHA-256 of listing ids.

        Raises:
            RegistryError: a file cannot be read or written.
        """
        changed = 0
        for path in self.folder.glob("[!.]*/data/*.parquet"):
            try:
                if erase(path, erased_from(path) or file_hash(path), forgotten):
                    path.chmod(0o444)
                    changed += 1
            except Exception as error:  # of either Parquet library, or of the disk
                raise RegistryError(
                    f"forgotten listings cannot be taken out of {path} ({error}); mend it and "
                    "start the trainer again"
                ) from error
        return changed

    def _write(
        self, aside: Path, blob: bytes, lineage: Lineage, data: Sequence[ManifestFile]
    ) -> None:
        kept = []
        for number, file in enumerate(data, start=1):
            name = f"data/{number}-{file.role}.parquet"
            write_file(aside / name, Path(file.path).read_bytes())
            kept.append(file.model_copy(update={"path": name}))
        write_file(aside / ADAPTER, blob)
        complete = lineage.model_copy(update={"data": kept})
        write_file(aside / LINEAGE, complete.model_dump_json(indent=2).encode())
        for path in aside.rglob("*.*"):
            path.chmod(0o444)

    def _entry(self, folder: Path) -> Entry:
        try:
            return Entry(folder, Lineage.model_validate_json((folder / LINEAGE).read_bytes()))
        except (OSError, ValueError) as error:
            raise RegistryError(
                f"{folder / LINEAGE} is damaged; restore it or remove the folder"
            ) from error


def read_checked(path: Path, adapter_hash: str) -> AdapterFile:
    """The adapter file at `path`, made sure to be the one with `adapter_hash`.

    Raises:
        RegistryError: it is missing, damaged or another.
    """
    try:
        adapter = read_adapter(path.read_bytes())
    except (OSError, AdapterError) as error:
        raise RegistryError(f"the adapter file {path} cannot be read: {error}") from error
    if adapter.hash != adapter_hash:
        raise RegistryError(f"{path} is not adapter {adapter_hash[:12]}; restore it from a copy")
    return adapter


def _hashes(files: Sequence[ManifestFile]) -> list[tuple[str, str]]:
    return sorted((file.role, file.sha256) for file in files)


def _is_name(adapter_id: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", adapter_id) is not None
