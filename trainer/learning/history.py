"""What a round comes from: its parent's file, and the rounds on the way to it."""

from collections.abc import Collection, Sequence
from functools import cache, partial
from pathlib import Path

from schemas.events import BASE_ADAPTER, RetrainRequest
from serving.adapter_file import AdapterFile
from trainer.data.dataset import read_rows, with_role
from trainer.data.registry import Entry, Registry, read_checked
from trainer.learning.strategies import Earlier, Plan, Situation
from trainer.settings import TrainerSettings


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


def ancestry(request: RetrainRequest, registry: Registry, trainer: TrainerSettings) -> list[Entry]:
    """The rounds on the way to the parent, oldest first; empty where nobody will look at them:
    a parent may be given by its file alone, and `progressive` asks for no more.

    Raises:
        RegistryError: one of them is not in the registry.
    """
    if trainer.strategy == "progressive" and not trainer.forgetting:
        return []
    return registry.chain(request.parent_id)


def situation(
    request: RetrainRequest,
    parent: AdapterFile | None,
    chain: Sequence[Entry],
    trainer: TrainerSettings,
    forgotten: Collection[str] = (),
) -> Situation:
    """What a strategy is told of the round; the files of earlier rounds are read if it asks.

    `forgotten` are the SHA-256 of listings that nothing is trained on any more.

    Raises:
        DataError: a file of the round is missing or another.
    """
    earlier = [
        Earlier(
            number,  # not the lineage's: a round on history may have the number of a later one
            cache(partial(read_rows, with_role(entry.data(), "train"), forgotten)),
        )
        for number, entry in enumerate(chain, start=1)
    ]
    new = read_rows(with_role(request.files, "train"), forgotten)
    return Situation(parent, earlier, new, trainer)


def trained_on(
    plan: Plan, known: Situation, request: RetrainRequest, chain: Sequence[Entry]
) -> list[str]:
    """The hashes of the files that the plan's rows come from, earlier rounds' first."""
    # By identity: the rows are the very ones that were read.
    old = {id(row) for row in plan.rows} - {id(row) for row in known.new}
    files = [
        file
        for entry, earlier in zip(chain, known.earlier, strict=True)
        if old and any(id(row) in old for row in earlier.rows())
        for file in with_role(entry.data(), "train")
    ]
    return [file.sha256 for file in [*files, *with_role(request.files, "train")]]
