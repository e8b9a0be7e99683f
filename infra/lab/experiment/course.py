"""An arm's way through the rounds.

In round t a wave of listings comes in, in the same order for all arms of a seed. The pool is what
has come in and was not trained on by this arm; the arm's own model M_{t-1} is asked for the newest
`measured` of it, its curation selects k, its strategy trains M_t, and M_t is judged on the gate
listings. The gate's verdict is recorded and not acted on: a chain goes on from M_t whatever it is,
because an arm that stood still would be compared with arms of other lengths.

What a seller submits is what the catalog says, except where the model's suggestion already is
right in another spelling: nobody would change that. So for curations that go by the model's answers
it is known of each value whether the seller typed, changed or accepted it (`weight_accepted`).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from infra.lab.experiment.lab import Lab, Made
from infra.lab.experiment.profiles import Arm, Profile
from schemas.category import Attribute
from schemas.curation import Candidate, select
from schemas.errors import ListuneError
from schemas.events import ValueLists
from schemas.origins import origins
from schemas.values import Values, matches
from serving.adapter_file import AdapterFile
from trainer.data.dataset import Row
from trainer.judging.evaluate import Evaluation
from trainer.judging.gate import Rule, decide
from trainer.learning.strategies import STRATEGIES, Earlier, Plan, Situation
from trainer.results import Decision
from trainer.settings import TrainerSettings

BY_ANSWERS = ("gap", "deficit", "edits")
BY_MODEL = (*BY_ANSWERS, "loss")
"""Curations that depend on the current model: on its answers, or on its loss."""


@dataclass(frozen=True)
class PlayedRound:
    """What an arm did in one round."""

    number: int  # from 1
    selected: list[Row]  # S_t, best first
    plan: Plan
    made: Made
    gate: Evaluation
    decision: Decision


@dataclass(frozen=True)
class Course:
    """What all arms of a data set and a seed share."""

    lab: Lab
    profile: Profile
    arrivals: Sequence[Row]  # in the order in which they come in
    gate: Sequence[Row]
    seed: int
    settings: TrainerSettings

    def play(self, arm: Arm, label_tokens: Sequence[int] = ()) -> list[PlayedRound]:
        """All rounds of `arm`; `label_tokens` are those to train in each round, if it has to.

        Raises:
            ListuneError: a round cannot be trained, or no listing is left for it.
        """
        rounds: list[PlayedRound] = []
        for number in range(1, self.profile.rounds + 1):
            wanted = label_tokens[number - 1] if label_tokens else None
            rounds.append(self._round(arm, number, rounds, wanted))
        return rounds

    def settings_of(self, arm: Arm) -> TrainerSettings:
        """What `arm` trains with."""
        changed = {**self.settings.model_dump(), **arm.changes, "seed": self.seed}
        return TrainerSettings.model_validate(changed)

    def select(
        self, arm: Arm, number: int, parent: AdapterFile | None, used: set[str]
    ) -> list[Row]:
        """S_t: the listings that the arm's curation selects in round `number`, best first."""
        sizes = self.profile.sizes
        here = [
            row
            for row in self.arrivals[: number * sizes.wave]
            if row.listing.listing_id not in used and row.filled()
        ]
        seen = here[-sizes.measured :]
        models: list[ValueLists] = [{} for _ in seen]
        if arm.curation in BY_ANSWERS and seen:
            models = [score.values for score in self.lab.judge(parent, seen).listings]
        losses: list[float | None] = [None] * len(seen)
        if arm.curation == "loss" and seen:
            losses = [*self.lab.losses(parent, seen, self.settings_of(arm))]
        candidates = [
            Candidate(
                row.listing.listing_id,
                row.listing.category,
                row.attributes,
                submitted(row, model),
                model,
                loss,
            )
            for row, model, loss in zip(seen, models, losses, strict=True)
        ]
        by_id = {
            row.listing.listing_id: row
            if arm.curation not in BY_ANSWERS
            else replace(row, origins=origins(_by_name(row), model, submitted(row, model)))
            for row, model in zip(seen, models, strict=True)
        }
        chosen = select(candidates, sizes.k, arm.curation, self.seed)
        if not chosen:
            raise ListuneError(
                f"no listing is left for round {number} of {arm.name}; take fewer rounds, a "
                "smaller k or a larger catalog"
            )
        return [by_id[candidate.listing_id] for candidate in chosen]

    def plan(
        self,
        arm: Arm,
        parent: AdapterFile | None,
        before: Sequence[PlayedRound],
        new: Sequence[Row],
    ) -> Plan:
        """What the arm's strategy wants done in the round after `before`."""
        earlier = [Earlier(done.number, partial(list, done.selected)) for done in before]
        situation = Situation(parent, earlier, list(new), self.settings_of(arm))
        return STRATEGIES[arm.strategy](situation)

    def _round(
        self, arm: Arm, number: int, before: Sequence[PlayedRound], label_tokens: int | None
    ) -> PlayedRound:
        parent = before[-1].made.adapter() if before else None
        used = {row.listing.listing_id for done in before for row in done.selected}
        new = self.select(arm, number, parent, used)
        settings = self.settings_of(arm)
        plan = self.plan(arm, parent, before, new)
        if label_tokens is not None:
            steps = self.lab.steps_for(label_tokens, plan.rows, settings.batch_size)
            plan = replace(plan, steps=steps)
        made = self.lab.train(plan, settings)
        base = before[-1].gate if before else self.lab.judge(None, self.gate)
        gate = self.lab.judge(made.adapter(), self.gate)
        decision = decide(base, gate, Rule.of(settings))
        return PlayedRound(number, new, plan, made, gate, decision)


def arrival_order(rows: Sequence[Row], seed: int) -> list[Row]:
    """`rows` as they come in under `seed`."""
    ordered = sorted(rows, key=lambda row: row.listing.listing_id)
    random.Random(f"experiment/{seed}").shuffle(ordered)
    return ordered


def _by_name(row: Row) -> dict[str, Attribute]:
    return {attribute.name: attribute for attribute in row.attributes}


def submitted(row: Row, model: Values) -> ValueLists:
    """What the seller of `row` submits after seeing what `model` filled."""
    return {
        a.name: list(model[a.name])
        if matches(a, model.get(a.name, ()), row.values[a.name])
        else row.answer(a)
        for a in row.filled()
    }
