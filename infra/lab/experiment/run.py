"""The whole experiment: catalogs in, results folder out."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console

from infra import machine
from infra.lab.experiment import data
from infra.lab.experiment.baselines import BASELINES
from infra.lab.experiment.course import BY_MODEL
from infra.lab.experiment.data_set_run import DataSetRun, Loaded
from infra.lab.experiment.figures import (
    Begun,
    DataSetFigures,
    ExperimentFigures,
)
from infra.lab.experiment.lab import Lab, measured_dtype
from infra.lab.experiment.profiles import Profile
from infra.lab.experiment.progress import Work
from infra.lab.experiment.report import write_report
from infra.local.fetch import ensure_base_model
from infra.settings import Settings
from schemas.errors import ListuneError
from serving.engine.precision import ROWS
from serving.process.files import write_file
from serving.settings import ServingSettings
from trainer.learning.finetune import TYPICAL_ROWS
from trainer.settings import TrainerSettings

logger = logging.getLogger(__name__)

BEGUN, FIGURES = "begun.json", "figures.json"


def run(
    profile: Profile,
    catalogs: Path,
    data_sets: Sequence[data.DataSet],
    settings: Settings,
    runs: Path,
    results: Path,
    console: Console,
) -> Path:
    """Run `profile` on `data_sets`, or what is left of it; returns the results folder.

    Args:
        profile: what to run.
        catalogs: the folder with a folder for each data set.
        data_sets: which of them; those of an earlier run stay in the report.
        settings: of these the base model and how this machine computes.
        runs: everything that is computed is kept in this folder.
        results: the results folder is made in this folder.
        console: for the progress bar.

    Raises:
        ListuneError: a catalog that cannot be used, or a round that cannot be trained.
        PartError: the base model cannot be fetched.
    """
    loaded = [_load(catalogs, one, profile) for one in data_sets]
    base = ensure_base_model(settings.local.cache_dir, settings.local.base_model, console)
    begun = begin(runs, base, settings)
    with (
        logged(runs / "experiment.log"),
        Work.shown_on(console, sum(_listings(profile, one.parts) for one in loaded)) as work,
        Lab(runs, profile.in_flight, _serving(profile, settings, base, begun), work) as lab,
    ):
        logger.info("%s at commit %s on %s", profile.name, machine.commit(), begun.machine)
        for one in loaded:
            found = DataSetRun(one, profile, _trainer(profile, begun), lab, work).run()
            write_file(runs / one.name / FIGURES, found.model_dump_json().encode())
    return report(profile, runs, results)


def report(profile: Profile, runs: Path, results: Path) -> Path:
    """Write the results folder from what is in `runs`; returns it.

    Raises:
        ListuneError: no data set has come to its end there.
    """
    done = [path for one in data.DATA_SETS if (path := runs / one.name / FIGURES).exists()]
    if not done:
        raise ListuneError(f"nothing is finished in {runs}; run the experiment first")
    figures = ExperimentFigures(
        profile=profile.name,
        settings=dataclasses.asdict(profile),
        begun=_begun(runs),
        data_sets=[DataSetFigures.model_validate_json(path.read_bytes()) for path in done],
    )
    return write_report(figures, results)


def _load(catalogs: Path, one: data.DataSet, profile: Profile) -> Loaded:
    schemas, products, warnings = data.read(catalogs, one)
    parts = data.split(products, schemas, profile.sizes, data.heldout_before(one))
    return Loaded(one.name, len(products), warnings, parts)


def _serving(profile: Profile, settings: Settings, base: Path, begun: Begun) -> ServingSettings:
    """How listings are asked: by the profile; how this machine computes: by its settings."""
    here = settings.serving.model_dump(include={"device", "threads"})
    # One decoder for all runs: another would round otherwise.
    own = {"dtype": begun.answering_dtype, "decoder": "torch", "base_model": str(base)}
    return ServingSettings.model_validate({**here, **profile.serving, **own})


def _trainer(profile: Profile, begun: Begun) -> TrainerSettings:
    """What all arms train with, but for the learning rate; nothing of it is this machine's."""
    own = {
        "steps": profile.steps,
        "batch_size": profile.batch_size,
        "dtype": begun.training_dtype,
        "progress": False,
    }
    return TrainerSettings.model_validate({**profile.trainer, **own})


def _listings(profile: Profile, parts: data.Parts) -> int:
    """How many listings are trained or answered for one data set, were nothing shared."""
    sizes, trained = profile.sizes, profile.steps * profile.batch_size
    first = min(sizes.measured, sizes.wave)
    total = len(profile.rates) * (first + trained + len(parts.calibration))
    total += (len(BASELINES) + 1) * len(parts.test)  # samples and mistakes ask for answers again
    for arm in profile.arms:
        # The base's gate, and constrained mode with its calibration.
        chain = len(parts.gate) + len(parts.calibration) + len(parts.test)
        chain += len(parts.test) * (profile.rounds if profile.every_round_tested else 1)
        for number in range(1, profile.rounds + 1):
            if arm.curation in BY_MODEL:
                pool = number * sizes.wave - (number - 1) * sizes.k
                chain += min(sizes.measured, pool)
            chain += trained * (number if arm.strategy == "cumulative-scaled" else 1)
            chain += len(parts.gate)
        total += chain * (1 if arm.once else len(profile.seeds))
    return total


def begin(runs: Path, base: Path, settings: Settings) -> Begun:
    """When, where and how the runs in this folder began: now, if they did not."""
    path = runs / BEGUN
    if not path.exists():
        gpu = machine.facts()["gpu"]
        begun = Begun(
            date=date.today().isoformat(),
            commit=machine.commit(),
            machine=machine.describe() + (f", {gpu}" if gpu else ""),
            base_model=base.name,
            answering_dtype=measured_dtype(base, settings.serving, ROWS),
            training_dtype=measured_dtype(base, settings.serving, TYPICAL_ROWS),
        )
        write_file(path, begun.model_dump_json().encode())
    return _begun(runs)


def _begun(runs: Path) -> Begun:
    return Begun.model_validate_json((runs / BEGUN).read_bytes())


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """What is logged meanwhile is appended to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    except BaseException:
        logger.exception("stopped; the same command goes on from here")
        raise
    finally:
        root.setLevel(before)
        root.removeHandler(handler)
        handler.close()
