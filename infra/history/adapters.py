"""The adapters from history in a registry."""

from collections.abc import Sequence

from trainer.data.registry import Entry, Registry
from trainer.results import Verdict


def of_history(registry: Registry) -> list[Entry]:
    """All of them, in the order of their rounds."""
    found = [entry for entry in registry.entries() if entry.lineage.source == "history"]
    return sorted(found, key=lambda entry: entry.lineage.round)


def is_promoted(entry: Entry) -> bool:
    """Whether its round's gate let it through."""
    return entry.lineage.decision.kind is Verdict.PROMOTE


def best_of(entries: Sequence[Entry]) -> Entry | None:
    """The last one that the gate let through; None where there is none."""
    promoted = [entry for entry in entries if is_promoted(entry)]
    return promoted[-1] if promoted else None
