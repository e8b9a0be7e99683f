"""The experiments and canaries that the control log tells of: what runs, since when, and how the
others ended.

Written down from the log alone: an event carries the whole experiment and, in its `details`, when
that began (`started_ms`), so that what compaction leaves of a key says everything. A move of the
pool's champion alias ends its canaries: the parent of one is no longer what it was tried against.
"""

from dataclasses import dataclass
from typing import Any

import duckdb

from schemas.events import ModelEvent, ModelEventKind
from schemas.experiment import CANARY, Experiment
from streams.settings import StreamsSettings

STARTED_MS = "started_ms"
"""In the `details` of each event of an experiment: when it first started."""
EXPERIMENT_KINDS = {ModelEventKind.EXPERIMENT_STARTED, ModelEventKind.EXPERIMENT_ENDED}
_ALIAS_MOVES = {ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK}
_COLUMNS = "content, state, started_ms, ended_ms, reason"


@dataclass(frozen=True)
class Trial:
    """An experiment or a canary, as the log has it. `state`: running or ended; times in ms."""

    experiment: Experiment
    state: str
    started_ms: int
    ended_ms: int | None
    reason: str | None


@dataclass(frozen=True)
class Running:
    """What runs: at most one experiment of the settings, and at most one canary."""

    experiment: Trial | None = None
    canary: Trial | None = None


def observe_experiment(
    con: duckdb.DuckDBPyConnection, settings: StreamsSettings, event: ModelEvent
) -> None:
    """Applies what `event` says of this pool's experiments, if anything."""
    if event.pool != settings.pool:
        return
    if event.kind in _ALIAS_MOVES:
        con.execute(
            "UPDATE store.experiments SET state = 'ended', ended_ms = ?, reason = ? "
            "WHERE state = 'running' AND starts_with(name, ?)",
            [event.created_ms, "the champion alias moved", CANARY],
        )
    if event.kind in EXPERIMENT_KINDS and event.experiment is not None:
        runs = event.kind is ModelEventKind.EXPERIMENT_STARTED
        started = event.details.get(STARTED_MS)
        con.execute(
            f"INSERT INTO store.experiments (name, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET content = excluded.content, state = excluded.state, "
            "ended_ms = excluded.ended_ms, reason = excluded.reason",
            [
                event.experiment.name,
                event.experiment.model_dump_json(),
                "running" if runs else "ended",
                started if isinstance(started, int) else event.created_ms,
                None if runs else event.created_ms,
                event.reason,
            ],
        )


def running(con: duckdb.DuckDBPyConnection) -> Experiment | None:
    """The experiment of the settings that runs; a canary is none."""
    found = running_trial(con)
    return found.experiment if found else None


def running_canary(con: duckdb.DuckDBPyConnection) -> Experiment | None:
    """The canary that runs."""
    found = running_trial(con, canary=True)
    return found.experiment if found else None


def running_trial(con: duckdb.DuckDBPyConnection, *, canary: bool = False) -> Trial | None:
    """As `running` or `running_canary`, with when it began."""
    found = running_trials(con)
    return found.canary if canary else found.experiment


def running_trials(con: duckdb.DuckDBPyConnection) -> Running:
    """The experiment and the canary that run, by one statement."""
    rows = con.execute(
        f"SELECT {_COLUMNS} FROM store.experiments WHERE state = 'running' "
        "ORDER BY started_ms DESC, name"
    ).fetchall()
    trials = [_trial(row) for row in rows]
    return Running(
        next((one for one in trials if not one.experiment.is_canary), None),
        next((one for one in trials if one.experiment.is_canary), None),
    )


def find(con: duckdb.DuckDBPyConnection, name: str) -> Trial | None:
    """The experiment or canary called `name`, whether or not it still runs."""
    return _one(con, "name = ?", name)


def _one(con: duckdb.DuckDBPyConnection, where: str, *parameters: object) -> Trial | None:
    row = con.execute(
        f"SELECT {_COLUMNS} FROM store.experiments WHERE {where} LIMIT 1", list(parameters)
    ).fetchone()
    return _trial(row) if row else None


def _trial(row: tuple[Any, ...]) -> Trial:
    return Trial(Experiment.model_validate_json(row[0]), *row[1:])
