"""A stack that never had a champion begins with the adapter from history.

It takes the way of a person's `listune promote`: what history promoted is told of as published,
and the conductor, the one writer of the alias, is asked to promote the last. The engine gets the
adapter when the first request asks for it. A stack whose alias moved once, even back to the base,
is left alone.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from infra.history.adapters import best_of, of_history
from infra.history.begun import HistoryFolder
from infra.settings import Settings
from schemas.errors import ListuneError
from schemas.events import BASE_ADAPTER, HISTORY_POOL, ModelEvent, ModelEventKind
from schemas.sources.json_schema import read_schemas
from schemas.topic_names import MODEL_EVENTS
from serving.base_hash import base_hash
from streams.kafka.control_log import ControlLog, ControlRecord
from streams.kafka.publisher import Publisher
from trainer.data.registry import Entry, Registry

WORKER = "history"
PATIENCE_S = 60.0
LOOK_S = 0.1


class _Moves:
    """The moves of the champion alias, as hashes of the adapters that it named."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def __call__(self, record: ControlRecord) -> None:
        event = record.event
        if isinstance(event, ModelEvent) and event.kind in (
            ModelEventKind.PROMOTED,
            ModelEventKind.ROLLED_BACK,
        ):
            self.hashes.append(event.adapter_hash or BASE_ADAPTER)


def hand_over(settings: Settings, run_dir: Path) -> str | None:
    """Make history's adapter the champion of the stack in `run_dir`, which is up, if it never had
    one; returns the adapter's id, None where nothing was to be done.

    Args:
        settings: those of the stack.

    Raises:
        ListuneError: the adapter does not fit the stack's base or schema, or the conductor did not
            promote it in time.
    """
    registry = Registry(settings.trainer.registry_dir)
    best = best_of(of_history(registry))
    if best is None:
        return None
    moves = _Moves()
    with ControlLog(settings.streams, [moves]) as log:
        log.wait_ready()
        if moves.hashes:
            return None
        check_fits(best, settings, run_dir)
        _send(settings, announcement(registry, best, settings.streams.pool))
        deadline = time.monotonic() + PATIENCE_S
        while best.lineage.adapter_hash not in moves.hashes:
            log.check()
            if time.monotonic() > deadline:
                raise ListuneError(
                    f"{best.lineage.adapter_id} from history was not promoted within "
                    f"{PATIENCE_S:.0f} s; see curate's log, and start the stack again"
                )
            time.sleep(LOOK_S)
    return best.lineage.adapter_id


def _send(settings: Settings, events: Sequence[ModelEvent]) -> None:
    publisher = Publisher(settings.streams, client_id="listune-history")
    try:
        for event in events:
            publisher.send(MODEL_EVENTS, event.key(), event.to_bytes()).result(PATIENCE_S)
    finally:
        publisher.close()


def check_fits(entry: Entry, settings: Settings, run_dir: Path) -> None:
    """See whether the stack answers with the base and asks by the schema that `entry` is of.

    Raises:
        ListuneError: it does not; says what to do.
    """
    name, folder = entry.lineage.adapter_id, HistoryFolder(run_dir)
    else_ = (
        "bootstrap anew with another --run-dir, or move the adapters history-* out of "
        f"{entry.folder.parent} to begin with the base"
    )
    if base_hash(_base_of(settings)) != entry.lineage.base_hash:
        raise ListuneError(
            f"{name} from history is of another base model than {settings.serving.base_model}; "
            f"name its own, {else_}"
        )
    begun, path = folder.begun(), settings.streams.schema_path
    now = {category: schema.hash for category, schema in read_schemas(path).items()}
    asked = begun.schema_hashes if begun else {}
    for category, schema_hash in asked.items():
        if now.get(category) != schema_hash:
            what = "another schema for" if category in now else "no"
            raise ListuneError(
                f"{path} has {what} category {category!r}, which {name} from history learnt; set "
                f"LISTUNE_STREAMS__SCHEMA_PATH to the schema that it was trained under, {else_}"
            )


def _base_of(settings: Settings) -> Path:
    named = settings.serving.base_model
    if Path(named).is_dir():
        return Path(named)
    from serving.engine.model import resolve_base  # it brings torch, and only a hub id needs it

    return resolve_base(named)


def announcement(registry: Registry, best: Entry, pool: str) -> list[ModelEvent]:
    """What is said to the conductor of `pool`: each adapter on the way to `best` is there, so that
    a rollback finds them, and `best` is to be promoted."""
    wish = ModelEvent(
        kind=ModelEventKind.PROMOTION_REQUESTED,
        pool=pool,
        round=0,
        adapter_id=best.lineage.adapter_id,
        worker=WORKER,
    )
    return [*map(_published, registry.chain(best.lineage.adapter_id)), wish]


def _published(entry: Entry) -> ModelEvent:
    lineage = entry.lineage
    return ModelEvent(
        kind=ModelEventKind.PUBLISHED,
        # Of no round of the stack, whose own are counted from 1: what these took is told by number.
        pool=HISTORY_POOL,
        round=0,
        adapter_id=lineage.adapter_id,
        adapter_hash=lineage.adapter_hash,
        adapter_uri=str(entry.path.resolve()),
        parent_id=lineage.parent_id,
        parent_hash=lineage.parent_hash,
        worker=WORKER,
        metrics=lineage.metrics,
        parent_metrics=lineage.parent_metrics,
        train_seconds=lineage.train_seconds,
        eval_seconds=lineage.eval_seconds,
        reason="trained on historic listings",
    )
