"""The experiment of the settings, compared with the one that runs: when it starts, grows and ends.

It starts at its time, once every adapter that answers in it is published. While it runs its shares
may only grow, so that no seller changes arms; with other arms it is another experiment, and the one
that runs goes on as it was. It ends at its time, when it is no longer in the settings, or when an
arm does surely more harm than the guardrail allows. One that has ended never runs again: its
sellers have been in their arms.

An adapter that does not exist, or a change that is refused, stops nothing else.
"""

import logging
from collections.abc import Iterable, Iterator

import duckdb

from schemas.events import ModelEvent, ModelEventKind
from schemas.experiment import ADAPTER, Arm, Experiment
from streams.pool.deciding.guardrail import Sellers
from streams.pool.state import find_adapter
from streams.pool.trials import STARTED_MS, Trial, find
from streams.settings import StreamsSettings
from streams.trials import ArmSettings, ExperimentSettings, experiment_ms, utc

WORKER = "conductor"
_DAY_MS = 86_400_000

logger = logging.getLogger("listune.conductor")


class NotYet(Exception):
    """Why the experiment of the settings does not start, or why a change of it is refused."""


class Experiments:
    """What is due of the experiment of the settings, and what is to be said of it."""

    def __init__(self, con: duckdb.DuckDBPyConnection, settings: StreamsSettings) -> None:
        self._con = con
        self._settings = settings
        self._refused = ""
        self._sellers = Sellers(con, settings)

    def due(self, trial: Trial | None, now_ms: int) -> ModelEvent | None:
        """The one thing that is to be said now; None where all is as it should be.

        Args:
            trial: the experiment that runs.
        """
        wanted = self._settings.experiment
        try:
            if trial is None:
                return self._start(wanted, now_ms) if wanted.name else None
            why = _over(trial.experiment, wanted, now_ms)
            if why := why or self._sellers.harm(trial.experiment, now_ms):
                return self._event(ModelEventKind.EXPERIMENT_ENDED, trial, now_ms, why)
            return self._grow(trial, wanted, now_ms)
        except NotYet as refused:
            if str(refused) != self._refused:
                self._refused = str(refused)
                logger.warning("%s", refused)
            return None

    def status(self, trial: Trial | None, now_ms: int) -> Iterator[str]:
        """For the status line: what runs and how many sellers have reviewed in each arm, and what
        is missing or refused."""
        wanted = self._settings.experiment
        if trial:
            yield _running(trial, self._sellers.counts(trial.experiment, now_ms), now_ms)
        if not wanted.name:
            return
        try:
            if trial is None:
                _opens(wanted, find(self._con, wanted.name), now_ms)
                self._arms(wanted)
            elif trial.experiment.name == wanted.name:
                _grown(trial.experiment, wanted)
        except NotYet as refused:
            yield str(refused)

    def _start(self, wanted: ExperimentSettings, now_ms: int) -> ModelEvent:
        _opens(wanted, find(self._con, wanted.name), now_ms)
        shares = {arm.name: arm.share for arm in wanted.arms}
        ends_ms = experiment_ms(wanted.end)
        made = Experiment(name=wanted.name, arms=self._arms(wanted), ends_ms=ends_ms)
        trial = Trial(made.grown(shares), "running", now_ms, None, None)
        return self._event(ModelEventKind.EXPERIMENT_STARTED, trial, now_ms)

    def _grow(self, trial: Trial, wanted: ExperimentSettings, now_ms: int) -> ModelEvent | None:
        grown = _grown(trial.experiment, wanted)
        if grown == trial.experiment:
            return None
        again = Trial(grown, "running", trial.started_ms, None, None)
        return self._event(ModelEventKind.EXPERIMENT_STARTED, again, now_ms)

    def _arms(self, wanted: ExperimentSettings) -> tuple[Arm, ...]:
        """The arms, with the adapters that answer in them.

        Raises:
            NotYet: there is no such adapter, or none that was published.
        """
        return tuple(self._arm(wanted.name, arm) for arm in wanted.arms)

    def _arm(self, experiment: str, arm: ArmSettings) -> Arm:
        if not arm.answers.startswith(ADAPTER):
            return Arm(name=arm.name, answers=arm.answers)
        adapter_id = arm.answers.removeprefix(ADAPTER)
        adapter = find_adapter(self._con, adapter_id)
        if adapter is None:
            raise NotYet(
                f"experiment {experiment} waits: the adapter {adapter_id} of arm {arm.name} is not "
                "known as published; name one of the view `models`"
            )
        return Arm(
            name=arm.name,
            answers=arm.answers,
            adapter_id=adapter.id,
            adapter_hash=adapter.hash,
            adapter_uri=adapter.uri,
        )

    def _event(
        self, kind: ModelEventKind, trial: Trial, now_ms: int, reason: str | None = None
    ) -> ModelEvent:
        return ModelEvent(
            created_ms=now_ms,
            kind=kind,
            pool=self._settings.pool,
            round=0,
            worker=WORKER,
            reason=reason,
            experiment=trial.experiment,
            details={STARTED_MS: trial.started_ms},
        )


def _over(running: Experiment, wanted: ExperimentSettings, now_ms: int) -> str | None:
    """Why the experiment that runs is to end; None where it goes on."""
    if not wanted.name:
        return "it is no longer in the settings"
    if running.name != wanted.name:
        return f"experiment {wanted.name} is in the settings in its place"
    if _passed(experiment_ms(wanted.end), now_ms):
        return "its end has come"
    return None


def _opens(wanted: ExperimentSettings, before: Trial | None, now_ms: int) -> None:
    """Raises NotYet where the experiment of the settings is not to run now."""
    if before is not None:
        why = before.reason or "nobody said why"
        raise NotYet(f"experiment {wanted.name} has ended: {why}; give another one another name")
    if _passed(experiment_ms(wanted.end), now_ms):
        raise NotYet(f"experiment {wanted.name} never began before its end; give a later `end`")
    starts_ms = experiment_ms(wanted.start)
    if starts_ms is not None and not _passed(starts_ms, now_ms):
        raise NotYet(f"experiment {wanted.name} starts at {utc(starts_ms)}")


def _grown(running: Experiment, wanted: ExperimentSettings) -> Experiment:
    """The experiment that runs, with the shares and the end of the settings.

    Raises:
        NotYet: the settings have other arms, or a share has fallen.
    """
    if _answers(running.arms) != _answers(wanted.arms):
        raise NotYet(
            f"experiment {running.name} goes on with the arms that it began with; give the changed "
            "one another name"
        )
    try:
        grown = running.grown({arm.name: arm.share for arm in wanted.arms})
    except ValueError as error:
        raise NotYet(f"experiment {running.name} goes on as it was: {error}") from error
    return grown.model_copy(update={"ends_ms": experiment_ms(wanted.end)})


def _answers(arms: Iterable[Arm | ArmSettings]) -> list[tuple[str, str]]:
    return [(arm.name, arm.answers) for arm in arms]


def _running(trial: Trial, sellers: dict[str, int], now_ms: int) -> str:
    experiment = trial.experiment
    day = 1 + max(0, now_ms - trial.started_ms) // _DAY_MS
    reviewed = ", ".join(f"{arm} {count}" for arm, count in sellers.items())
    until = f", until {utc(experiment.ends_ms)}" if experiment.ends_ms else ""
    return f"experiment {experiment.name}, day {day}{until}: reviewed sellers {reviewed}"


def _passed(time_ms: int | None, now_ms: int) -> bool:
    return time_ms is not None and time_ms <= now_ms
