"""All of it: trials, then seed by seed both arms and the sealed test.

    <runs>/begun.json, adapters/, evaluations/, answers/   as in `infra.lab.experiment.lab`
           pictures/                                       what was seen of products, by its hash
           figures.json                                    what is finished

Nothing is chosen by a test: every setting stands in the profile before the first seed. So each seed
is judged as soon as it is trained, and what is finished is reported even if the rest is not.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from infra.catalogs.inputs import mixed_rows, views
from infra.lab.experiment.figures import AnswerCounts, Begun, Sealed
from infra.lab.experiment.lab import Lab, Made
from infra.lab.experiment.progress import Work
from infra.lab.experiment.run import begin, logged
from infra.lab.pictures.baselines import judge_baselines
from infra.lab.pictures.catalogs import Catalog, load
from infra.lab.pictures.figures import (
    READS,
    SEES,
    VIEWS,
    CatalogFigures,
    PicturesFigures,
    Trained,
    TrialFigures,
)
from infra.lab.pictures.profiles import Mix, Profile, Steps, Trial
from infra.lab.pictures.report import write_report
from infra.local.fetch import ensure_base_model, ensure_encoder
from infra.settings import Settings
from schemas.errors import ListuneError
from schemas.events import Mode
from serving.process.files import write_file
from serving.settings import ServingSettings
from trainer.data.dataset import Row
from trainer.judging.encoder_vectors import EncoderVectors
from trainer.judging.evaluate import Evaluation, Inputs, inputs_of
from trainer.learning.strategies import Plan
from trainer.settings import TrainerSettings

logger = logging.getLogger(__name__)

FIGURES, STORE = "figures.json", "pictures"

MODE = Mode.CONSTRAINED
"""An illegal answer would tell of the vocabulary, not of the picture."""


def run(
    profile: Profile,
    catalogs: Path,
    settings: Settings,
    runs: Path,
    results: Path,
    console: Console,
) -> Path:
    """Run `profile`, or what is left of it; returns the results folder.

    Args:
        profile: what to run.
        catalogs: the folder with a folder for each catalog.
        settings: of these the base model, the encoder, and how this machine computes.
        runs: everything that is computed is kept in this folder.
        results: the results folder is made in this folder.
        console: for the progress bar.

    Raises:
        ListuneError: a catalog that cannot be used, or an adapter that cannot be trained.
        PartError: the base model or the encoder cannot be fetched.
    """
    base = ensure_base_model(settings.local.cache_dir, settings.local.base_model, console)
    encoder = settings.serving.encoder or str(ensure_encoder(settings.local.cache_dir, console))
    begun = begin(runs, base, settings)
    serving = _serving(profile, settings, base, encoder, runs, begun)
    loaded = [
        load(catalogs, name, sizes, serving.looking, serving.picture_edge)
        for name, sizes in profile.sizes.items()
    ]
    with (
        logged(runs / "experiment.log"),
        Work.shown_on(console, _listings(profile, loaded)) as work,
    ):
        running = _Run(profile, loaded, begun, serving, runs, work)
        running.trials()
        for seed in profile.seeds:
            for catalog in loaded:
                running.seed(seed, catalog)
                write_file(runs / FIGURES, running.figures().model_dump_json().encode())
                report(runs, results)
    return report(runs, results)


def report(runs: Path, results: Path) -> Path:
    """Write the results folder from what is in `runs`; returns it.

    Raises:
        ListuneError: no seed has come to its end there.
    """
    path = runs / FIGURES
    if not path.exists():
        raise ListuneError(f"nothing is finished in {runs}; run the experiment first")
    return write_report(PicturesFigures.model_validate_json(path.read_bytes()), results)


class _Run:
    """One run, with what its parts share."""

    def __init__(
        self,
        profile: Profile,
        catalogs: Sequence[Catalog],
        begun: Begun,
        serving: ServingSettings,
        runs: Path,
        work: Work,
    ) -> None:
        self.profile = profile
        self.catalogs = catalogs
        self.begun = begun
        self.serving = serving
        self.runs = runs
        self.work = work
        self.tried: list[TrialFigures] = []
        self.trained: list[Trained] = []
        self.answers: dict[str, dict[Inputs, dict[str, list[AnswerCounts]]]] = {}
        self.sealed: dict[str, Sealed] = {}

    def trials(self) -> None:
        """Everything that the profile tries, on the calibration listings."""
        for trial in self.profile.trials:
            self._at(f"{trial.about}: {trial.name}")
            catalog = next(one for one in self.catalogs if one.name == trial.only)
            rows = as_sent(catalog.arrivals, trial.mix or self.profile.mix)
            settings = self._settings(self.profile.seeds[0], trial.steps, trial.trainer)
            with self._lab(SEES, trial.serving) as lab:
                rounds = _rounds(lab, rows, settings, trial.steps.rounds)
                self.tried.append(self._tried(lab, trial, catalog, rounds, settings))

    def seed(self, seed: int, catalog: Catalog) -> None:
        """Both arms under `seed`, trained and tested; the baselines with the first."""
        first = seed == self.profile.seeds[0]
        rows = as_sent(catalog.arrivals, self.profile.mix)
        steps = self.profile.steps[catalog.name]
        settings = self._settings(seed, steps)
        for arm in (SEES, READS):
            self._at(f"{catalog.name}, seed {seed}, {arm}")
            own = rows if arm == SEES else [unseen(row) for row in rows]
            with self._lab(arm) as lab:
                rounds = _rounds(lab, own, settings, steps.rounds)
                self.trained.append(_facts(catalog.name, arm, seed, rounds))
                self._test(lab, catalog, arm, rounds[-1])
                if first and arm == SEES:
                    self._test_baselines(lab, catalog)

    def figures(self) -> PicturesFigures:
        """What is measured by now."""
        return PicturesFigures(
            profile=self.profile.name,
            settings=dataclasses.asdict(self.profile),
            encoder=Path(self.serving.encoder).name,
            begun=self.begun,
            trials=self.tried,
            trained=self.trained,
            catalogs=[
                CatalogFigures(
                    name=one.name,
                    products=one.products,
                    warnings=one.warnings,
                    parts=one.sizes(),
                    mix=_counts(as_sent(one.arrivals, self.profile.mix)),
                    heldout={"calibration": _ids(one.calibration), "test": _ids(one.test)},
                    test=self.sealed[one.name],
                    answers=self.answers[one.name],
                )
                for one in self.catalogs
                if one.name in self.sealed
            ],
        )

    def _lab(self, arm: str, changes: Mapping[str, Any] | None = None) -> Lab:
        """The lab of an arm; `changes` are a trial's."""
        own = {"pictures": 0, "encoder": ""} if arm == READS else {}
        serving = self.serving.model_copy(update={**own, **(changes or {})})
        return Lab(self.runs, self.profile.in_flight, serving, self.work)

    def _settings(
        self, seed: int, steps: Steps, changes: Mapping[str, Any] | None = None
    ) -> TrainerSettings:
        """Nothing of them is this machine's."""
        own = {
            "steps": steps.steps,
            "batch_size": steps.batch_size,
            "dtype": self.begun.training_dtype,
            "progress": False,
            "seed": seed,
        }
        return TrainerSettings.model_validate({**self.profile.trainer, **(changes or {}), **own})

    def _tried(
        self,
        lab: Lab,
        trial: Trial,
        catalog: Catalog,
        rounds: Sequence[Made],
        settings: TrainerSettings,
    ) -> TrialFigures:
        adapter = rounds[-1].adapter()
        shown = {view: [views(row)[view] for row in catalog.calibration] for view in VIEWS}
        answers = {view: lab.judge(adapter, rows, MODE) for view, rows in shown.items()}
        losses = rounds[-1].training.losses
        last = losses[-max(len(losses) // 10, 1) :]
        return TrialFigures(
            about=trial.about,
            name=trial.name,
            catalog=catalog.name,
            steps=settings.steps * len(rounds),
            last_loss=sum(last) / len(last),
            asked=Sealed.of(answers[VIEWS[0]]),
            answers={view: AnswerCounts.of(one) for view, one in answers.items()},
            losses={view: lab.losses(adapter, rows, settings) for view, rows in shown.items()},
        )

    def _test(self, lab: Lab, catalog: Catalog, arm: str, made: Made) -> None:
        for view in VIEWS:
            rows = [views(row)[view] for row in catalog.test]
            # To who does not look a product with a picture is the one without.
            rows = rows if arm == SEES else [unseen(row) for row in rows]
            self._add(catalog, view, arm, lab.judge(made.adapter(), rows, MODE))

    def _test_baselines(self, lab: Lab, catalog: Catalog) -> None:
        vectors = EncoderVectors(Path(self.serving.encoder))
        for view in VIEWS:
            rows = [views(row)[view] for row in catalog.test]
            found = judge_baselines(lab, vectors, catalog.arrivals, rows, view)
            for name, evaluation in found.items():
                self._add(catalog, view, name, evaluation)

    def _add(self, catalog: Catalog, view: Inputs, name: str, found: Evaluation) -> None:
        self.sealed.setdefault(catalog.name, Sealed.of(found))
        answers = self.answers.setdefault(catalog.name, {one: {} for one in VIEWS})
        answers[view].setdefault(name, []).append(AnswerCounts.of(found))

    def _at(self, what: str) -> None:
        self.work.at(what)
        logger.info("%s", what)


def as_sent(rows: Sequence[Row], mix: Mix) -> list[Row]:
    """`rows` as they come in."""
    if mix == "each":
        return [one for row in rows for one in views(row).values()]
    return mixed_rows(rows) if mix == "paper" else list(rows)


def unseen(row: Row) -> Row:
    """`row` without pictures; one without a text has its category left."""
    return replace(row, listing=replace(row.listing, images=()), pictures=())


def _rounds(lab: Lab, rows: Sequence[Row], settings: TrainerSettings, rounds: int) -> list[Made]:
    """Each round from the one before, the first from the base."""
    made: list[Made] = []
    for _ in range(rounds):
        parent = made[-1].adapter() if made else None
        made.append(lab.train(Plan(parent, list(rows), settings.steps), settings))
    return made


def _facts(catalog: str, arm: str, seed: int, rounds: Sequence[Made]) -> Trained:
    trained = [made.training for made in rounds]
    return Trained(
        catalog=catalog,
        arm=arm,
        seed=seed,
        adapter=rounds[-1].adapter().hash,
        listings=trained[-1].listings,
        steps=sum(one.steps for one in trained),
        label_tokens=sum(one.label_tokens for one in trained),
        seconds=round(sum(one.seconds for one in trained), 1),
        losses=[round(loss, 4) for one in trained for loss in one.losses],
    )


def _serving(
    profile: Profile, settings: Settings, base: Path, encoder: str, runs: Path, begun: Begun
) -> ServingSettings:
    """How listings are asked: by the profile; how this machine computes: by its settings."""
    here = settings.serving.model_dump(include={"device", "threads"})
    own = {
        "dtype": begun.answering_dtype,
        "base_model": str(base),
        "encoder": encoder,
        "pictures": 1,
        "looking": {"store": str(runs / STORE)},
    }
    return ServingSettings.model_validate({**here, **profile.serving, **own})


def _listings(profile: Profile, catalogs: Sequence[Catalog]) -> int:
    """How many listings are trained or answered, were nothing shared."""
    by_name, total = {one.name: one for one in catalogs}, 0
    for trial in profile.trials:
        asked = 2 * len(VIEWS) * len(by_name[trial.only].calibration)
        total += _listings_of(trial.steps) + asked
    for name, steps in profile.steps.items():
        asked = len(VIEWS) * len(by_name[name].test)
        total += len(profile.seeds) * 2 * (_listings_of(steps) + asked)
    return total


def _listings_of(steps: Steps) -> int:
    return steps.rounds * steps.steps * steps.batch_size


def _counts(rows: Sequence[Row]) -> dict[Inputs, int]:
    return {view: sum(inputs_of(row) == view for row in rows) for view in VIEWS}


def _ids(rows: Sequence[Row]) -> list[str]:
    return sorted(row.listing.listing_id for row in rows)
