"""One catalog's way through the experiment: sweep, all arms, and then the sealed test."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.lab.experiment.baselines import judge_baselines
from infra.lab.experiment.calibrated import calibrated
from infra.lab.experiment.course import Course, PlayedRound, arrival_order
from infra.lab.experiment.data import Parts
from infra.lab.experiment.figures import (
    AnswerCounts,
    ArmFigures,
    Change,
    Constrained,
    DataSetFigures,
    RoundFigures,
    Sealed,
    SweepPoint,
)
from infra.lab.experiment.knowable import knowable
from infra.lab.experiment.lab import Lab
from infra.lab.experiment.mistakes import mistakes, wrong_answers
from infra.lab.experiment.profiles import Arm, Profile
from infra.lab.experiment.progress import Work
from infra.lab.experiment.statistics import net_benefit
from schemas.events import Mode
from schemas.values import format_answer, matches
from serving.calibration import POOLED
from trainer.judging.evaluate import Evaluation
from trainer.settings import TrainerSettings

logger = logging.getLogger(__name__)

SAMPLE_LISTINGS, SAMPLE_ROWS = 4, 24


@dataclass(frozen=True)
class Loaded:
    """A catalog, split."""

    name: str
    products: int
    warnings: list[str]
    parts: Parts


class DataSetRun:
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
        reference = chains[0][2]
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
            heldout=self.parts.heldout_ids(),
            attributes_asked=sum(len(row.attributes) for row in everything) / len(everything),
            values=sum(len(row.filled()) for row in everything) / len(everything),
            knowable={"all": knowable(everything), "test": knowable(self.parts.test)},
            sweep=sweep,
            learning_rate=settings.learning_rate,
            test=Sealed.of(baselines["base"]),
            baselines={name: AnswerCounts.of(found) for name, found in baselines.items()},
            arms=arms,
            samples=self._samples(baselines["base"], last),
            mistakes=mistakes(self.parts.test, last),
            wrong_answers=wrong_answers(self.parts.test, last),
        )

    def _sweep(self) -> tuple[list[SweepPoint], TrainerSettings]:
        """Each learning rate's first round, and the trainer's settings with the best of them."""
        arm, points = self.profile.arms[0], []
        for rate in self.profile.rates:
            self._at(f"learning rate {rate:g}")
            course = self._course(self.profile.seeds[0], self._with_rate(rate))
            new = course.select(arm, 1, None, set())
            plan = course.plan(arm, None, [], new)
            made = self.lab.train(plan, course.settings_of(arm))
            judged = self.lab.judge(made.adapter(), self.parts.calibration)
            points.append(_sweep_point(rate, judged, made.training.losses[-1]))
        best = max(points, key=lambda point: point.net_benefit)
        logger.info("%s: learning rate %g", self.loaded.name, best.learning_rate)
        return points, self._with_rate(best.learning_rate)

    def _with_rate(self, rate: float) -> TrainerSettings:
        return self.settings.model_copy(update={"learning_rate": rate})

    def _chains(
        self, seed: int, settings: TrainerSettings
    ) -> Iterator[tuple[Arm, list[PlayedRound]]]:
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

    def _sealed(self, arm: Arm, seed: int, rounds: Sequence[PlayedRound]) -> ArmFigures:
        self._at(f"sealed test, seed {seed}, {arm.name}")
        every = self.profile.every_round_tested
        figures = [
            RoundFigures(
                number=done.number,
                adapter=done.gate.key.adapter_hash,
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
                test=self._tested(done) if done is rounds[-1] or every else None,
            )
            for done in rounds
        ]
        return ArmFigures(
            arm=arm.name,
            strategy=arm.strategy,
            curation=arm.curation,
            seed=seed,
            rounds=figures,
            constrained=self._constrained(rounds[-1]),
        )

    def _tested(self, done: PlayedRound) -> AnswerCounts:
        """The test in free mode."""
        return AnswerCounts.of(self.lab.judge(done.made.adapter(), self.parts.test))

    def _constrained(self, done: PlayedRound) -> Constrained:
        """The test in constrained mode, after a calibration on the calibration listings."""
        adapter = calibrated(self.lab, done.made.adapter(), self.parts.calibration)
        curves = adapter.calibration.curves if adapter.calibration else ()
        return Constrained(
            examples=sum(curve.examples for curve in curves if curve.kind == POOLED),
            blank_below={curve.kind: curve.threshold or 0.0 for curve in curves},
            test=AnswerCounts.of(self.lab.judge(adapter, self.parts.test, Mode.CONSTRAINED)),
        )

    def _samples(self, base: Evaluation, last: Evaluation) -> list[Change]:
        """Of the first test listings, what the base and the last adapter answer differently."""
        found: list[Change] = []
        answers = zip(self.parts.test, base.listings, last.listings, strict=True)
        for row, before, after in list(answers)[:SAMPLE_LISTINGS]:
            for attribute in row.attributes:
                name = attribute.name
                given = [format_answer(s.values.get(name, [])) for s in (before, after)]
                if given[0] == given[1]:
                    continue
                truth = row.values.get(name, [])
                found.append(
                    Change(
                        listing=row.listing.title,
                        attribute=name,
                        base=given[0],
                        last=given[1],
                        catalog=format_answer(truth),
                        right=matches(attribute, after.values.get(name, []), truth),
                    )
                )
        return found[:SAMPLE_ROWS]

    def _at(self, what: str) -> None:
        self.work.at(f"{self.loaded.name}: {what}")
        logger.info("%s: %s", self.loaded.name, what)


def _sweep_point(rate: float, judged: Evaluation, last_loss: float) -> SweepPoint:
    return SweepPoint(
        learning_rate=rate,
        net_benefit=net_benefit(judged.listings),
        completeness=judged.ratio("completeness").value,
        recall=judged.ratio("recall").value,
        precision=judged.ratio("precision").value,
        last_loss=last_loss,
    )
