"""From which adapter, and on which listings, a round is trained. Small, named, interchangeable."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from schemas.events import BASE_ADAPTER, ManifestFile, RetrainRequest
from serving.adapters import AdapterFile
from trainer.registry import Registry, read_checked


@dataclass(frozen=True)
class Plan:
    """`start` None is the base; `files` are what is trained on, earlier rounds' first."""

    start: AdapterFile | None
    files: list[ManifestFile]


Strategy = Callable[[RetrainRequest, Registry], Plan]


def progressive(request: RetrainRequest, registry: Registry) -> Plan:
    """Equation (5): M_t = FineTune(M_{t-1}, S_t)."""
    return Plan(parent_adapter(request, registry), _training_files(request.files))


def cumulative(request: RetrainRequest, registry: Registry) -> Plan:
    """Equation (4): M_t = FineTune(M_0, S_1 ∪ … ∪ S_t), over the rounds that led to the parent."""
    earlier = [file for entry in registry.chain(request.parent_id) for file in entry.data()]
    return Plan(None, _training_files([*earlier, *request.files]))


STRATEGIES: dict[str, Strategy] = {"progressive": progressive, "cumulative": cumulative}


def parent_adapter(request: RetrainRequest, registry: Registry) -> AdapterFile | None:
    """The adapter that the round's candidate is judged against; None for the base.

    Raises:
        RegistryError: its file is missing, damaged or another.
    """
    if request.parent_hash == BASE_ADAPTER:
        return None
    if request.parent_uri is not None:
        return read_checked(Path(request.parent_uri), request.parent_hash)
    return read_checked(registry.get(request.parent_id).path, request.parent_hash)


def _training_files(files: list[ManifestFile]) -> list[ManifestFile]:
    return [file for file in files if file.role == "train"]
