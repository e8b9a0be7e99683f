"""The whole experiment: catalogs in, results folder out."""

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console

from infra import machine
from infra.experiment import data
from infra.experiment.baselines import BASELINES, judge_baselines
from infra.experiment.course import BY_MODEL, Course, Round, arrival_order
from infra.experiment.figures import (
    ArmFigures,
    Begun,
    Change,
    DataSetFigures,
    ExperimentFigures,
    RoundFigures,
    Scores,
    Sealed,
    SweepPoint,
)
from infra.experiment.knowable import knowable
from infra.experiment.lab import Lab, measured_dtype
from infra.experiment.mistakes import mistakes, wrong_answers
from infra.experiment.profiles import REFERENCE, Arm, Profile
from infra.experiment.progress import Work
from infra.experiment.report import write_report
from infra.local.fetch import ensure_base_model
from infra.settings import Settings
from schemas.errors import ListuneError
from schemas.values import format_answer, matches
from serving.adapters import write_file
from serving.precision import ROWS
from serving.settings import ServingSettings
from trainer.evaluate import Evaluation
from trainer.finetune import TYPICAL_ROWS
from trainer.settings import TrainerSettings

logger = logging.getLogger(__name__)

BEGUN, FIGURES = "begun.json", "figures.json"
SWEEP_ARM = Arm("progressive", "deficit")
SAMPLE_LISTINGS, SAMPLE_ROWS = 4, 24


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A catalog, split."""

    name: str
    products: int
    warnings: list[str]
    parts: data.Parts


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
    begun = _begin(runs, base, settings)
    with (
        _logged(runs / "experiment.log"),
        Work.shown_on(console, sum(_listings(profile, one.parts) for one in loaded)) as work,
        Lab(runs, profile, _serving(profile, settings, base, begun), work) as lab,
    ):
        logger.info("%s at commit %s on %s", profile.name, machine.commit(), begun.machine)
        for one in loaded:
            found = _DataSetRun(one, profile, _trainer(profile, begun), lab, work).run()
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


class _DataSetRun:
    """One catalog from the sweep to the sealed test."""

    def __init__(
        self, loaded: Loaded, profile: Profile, settings: TrainerSettings, lab: Lab, work: Work
    ) -> None:
        self.loaded = loaded
        self.parts = loaded.parts
        self.profile = profile
        self.settings = settings
        self.lab = lab
        self.work = work

    def run(self) -> DataSetFigures:
        """Everything, found or computed."""
        sweep, settings = self._sweep()
        chains = [
            (arm, seed, rounds)
            for seed in self.profile.seeds
            for arm, rounds in self._chains(seed, settings)
        ]
        reference = next(rounds for arm, _, rounds in chains if arm.name == REFERENCE)
        # From here on the test is open; nothing is trained or chosen any more.
        self._at("sealed test, baselines")
        baselines = judge_baselines(self.lab, self.parts.arrivals, self.parts.test)
        arms = [self._sealed(arm, seed, rounds) for arm, seed, rounds in chains]
        last = self.lab.judge(reference[-1].made.adapter(), self.parts.test)
        everything = [row for part in vars(self.parts).values() for row in part]
        return DataSetFigures(
            name=self.loaded.name,
            products=self.loaded.products,
            warnings=self.loaded.warnings,
            parts=self.parts.sizes(),
            attributes_asked=sum(len(row.attributes) for row in everything) / len(everything),
            values=sum(len(row.filled()) for row in everything) / len(everything),
            knowable={"all": knowable(everything), "test": knowable(self.parts.test)},
            sweep=sweep,
            learning_rate=settings.learning_rate,
            test=Sealed.of(baselines["base"]),
            baselines={name: Scores.of(found) for name, found in baselines.items()},
            arms=arms,
            samples=self._samples(baselines["base"], reference),
            mistakes=mistakes(self.parts.test, last),
            wrong_answers=wrong_answers(self.parts.test, last),
        )

    def _sweep(self) -> tuple[list[SweepPoint], TrainerSettings]:
        """Each learning rate's first round, and the trainer's settings with the best of them."""
        points = []
        for rate in self.profile.rates:
            self._at(f"learning rate {rate:g}")
            course = self._course(self.profile.seeds[0], self._with_rate(rate))
            new = course.select(SWEEP_ARM, 1, None, set())
            plan = course.plan(SWEEP_ARM, None, [], new)
            made = self.lab.train(plan, course.settings_of(SWEEP_ARM))
            judged = self.lab.judge(made.adapter(), self.parts.calibration)
            points.append(_sweep_point(rate, judged, made.training.losses[-1]))
        best = max(points, key=lambda point: point.f1)
        logger.info("%s: learning rate %g", self.loaded.name, best.learning_rate)
        return points, self._with_rate(best.learning_rate)

    def _with_rate(self, rate: float) -> TrainerSettings:
        return self.settings.model_copy(update={"learning_rate": rate})

    def _chains(self, seed: int, settings: TrainerSettings) -> Iterator[tuple[Arm, list[Round]]]:
        """Every arm's rounds under `seed`."""
        course = self._course(seed, settings)
        tokens: dict[str, list[int]] = {}
        for arm in self.profile.arms_of(seed):
            self._at(f"seed {seed}, {arm.name}")
            rounds = course.play(arm, tokens[arm.tokens_of] if arm.tokens_of else ())
            tokens[arm.name] = [done.made.training.label_tokens for done in rounds]
            yield arm, rounds

    def _course(self, seed: int, settings: TrainerSettings) -> Course:
        arrivals = arrival_order(self.parts.arrivals, seed)
        return Course(self.lab, self.profile, arrivals, self.parts.gate, seed, settings)

    def _sealed(self, arm: Arm, seed: int, rounds: Sequence[Round]) -> ArmFigures:
        self._at(f"sealed test, seed {seed}, {arm.name}")
        figures = [
            RoundFigures(
                number=done.number,
                adapter=found.key.adapter_hash,
                listings=done.made.training.listings,
                selected=[row.listing.listing_id for row in done.selected],
                steps=done.made.training.steps,
                label_tokens=done.made.training.label_tokens,
                train_seconds=round(done.made.training.seconds, 2),
                dtype=done.made.training.dtype,
                losses=[round(loss, 4) for loss in done.made.training.losses],
                averaging_error=done.made.training.averaging_error,
                gate=done.decision.kind,
                gate_reason=done.decision.reason,
                test=Scores.of(found),
            )
            for done in rounds
            for found in [self.lab.judge(done.made.adapter(), self.parts.test)]
        ]
        return ArmFigures(
            arm=arm.name,
            strategy=arm.strategy,
            curation=arm.curation,
            seed=seed,
            rounds=figures,
        )

    def _samples(self, base: Evaluation, rounds: Sequence[Round]) -> list[Change]:
        """Of the first test listings, what the base and the last adapter answer differently."""
        first, last = (
            self.lab.judge(done.made.adapter(), self.parts.test) for done in (rounds[0], rounds[-1])
        )
        found: list[Change] = []
        answers = zip(self.parts.test, base.listings, first.listings, last.listings, strict=True)
        for row, before, between, after in list(answers)[:SAMPLE_LISTINGS]:
            for attribute in row.attributes:
                name = attribute.name
                given = [format_answer(s.values.get(name, [])) for s in (before, between, after)]
                if given[0] == given[2]:
                    continue
                truth = row.values.get(name, [])
                found.append(
                    Change(
                        listing=row.listing.title,
                        attribute=name,
                        base=given[0],
                        first=given[1],
                        last=given[2],
                        catalog=format_answer(truth),
                        right=matches(attribute, after.values.get(name, []), truth),
                    )
                )
        return found[:SAMPLE_ROWS]

    def _at(self, what: str) -> None:
        self.work.at(f"{self.loaded.name}: {what}")
        logger.info("%s: %s", self.loaded.name, what)


def _load(catalogs: Path, one: data.DataSet, profile: Profile) -> Loaded:
    schemas, products, warnings = data.read(catalogs, one)
    parts = data.split(products, schemas, profile.sizes)
    return Loaded(one.name, len(products), warnings, parts)


def _serving(profile: Profile, settings: Settings, base: Path, begun: Begun) -> ServingSettings:
    """How listings are asked: by the profile; how this machine computes: by its settings."""
    here = settings.serving.model_dump(include={"device", "threads"})
    own = {"dtype": begun.answering_dtype, "base_model": str(base)}
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


def _sweep_point(rate: float, judged: Evaluation, last_loss: float) -> SweepPoint:
    right, labelled, suggested = (
        sum(getattr(s, name) for s in judged.listings)
        for name in ("right", "labelled", "suggested")
    )
    return SweepPoint(
        learning_rate=rate,
        completeness=judged.ratio("completeness").value,
        recall=judged.ratio("recall").value,
        precision=judged.ratio("precision").value,
        f1=2 * right / max(labelled + suggested, 1),
        last_loss=last_loss,
    )


def _listings(profile: Profile, parts: data.Parts) -> int:
    """How many listings are trained or answered for one data set, were nothing shared."""
    sizes, trained = profile.sizes, profile.steps * profile.batch_size
    first = min(sizes.measured, sizes.wave)
    total = len(profile.rates) * (first + trained + len(parts.calibration))
    total += (BASELINES + 3) * len(parts.test)  # samples and mistakes ask for answers again
    for arm in profile.arms:
        chain = len(parts.gate)
        for number in range(1, profile.rounds + 1):
            if arm.curation in BY_MODEL:
                pool = number * sizes.wave - (number - 1) * sizes.k
                chain += min(sizes.measured, pool)
            chain += trained * (number if arm.strategy == "cumulative-scaled" else 1)
            chain += len(parts.gate) + len(parts.test)
        total += chain * (1 if arm.once else len(profile.seeds))
    return total


def _begin(runs: Path, base: Path, settings: Settings) -> Begun:
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
def _logged(path: Path) -> Iterator[None]:
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
