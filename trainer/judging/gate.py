"""May the candidate replace its parent? A paired bootstrap clustered by listing decides.

What decides is the difference candidate - parent in net benefit (`trainer.judging.evaluate`; by
setting completeness), on held-out listings that nothing was trained on. With `least_gain` 0:

- promote: its lower bound is above 0, the lower bound of the difference to the best former
  champion is above -margin, so that small losses do not add up, and it surely harms no kind of
  input (`trainer.judging.evaluate.Inputs`): a gain on texts does not pay for a loss on pictures.
- reject: an upper bound says the contrary (below 0; below -margin), or `LOOKS` looks are used up.
- challenger: neither. The champion stays, and the candidate is judged again on the held-out
  listings that are there by then.

The bounds are one-sided: value ± Student's t times the bootstrap's standard error. Each look that
may promote spends a part of `ALPHA`, half of what is left (Lan and DeMets, "Discrete sequential
boundaries for clinical trials", Biometrika 70, 1983; the parts are added up as if the looks had
nothing in common), so that a candidate without any gain passes in 5 % of cases at most however
often it is looked at. A kind is harmed where its upper bound is below 0; the kinds that have
listings enough share `ALPHA`, so that a look holds back what harms none of them in 5 % of cases at
most. What the rates really are is simulated: `infra.lab.bench.gate`.

A metric with nothing to divide by is 0 (see `trainer.judging.intervals.Ratio`).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trainer.errors import TrainingError
from trainer.judging.evaluate import METRICS, Evaluation
from trainer.judging.intervals import (
    Floats,
    Measure,
    draw_listings,
    paired,
    standard_error,
    student_t,
)
from trainer.results import Decision, Difference, Verdict
from trainer.settings import TrainerSettings

ALPHA = 0.05
LOOKS = 5
# Fewer listings tell nothing of how much they differ: their bounds are all that is possible.
LEAST_LISTINGS = 12
MOST_LISTINGS = 1_000_000


@dataclass(frozen=True)
class Rule:
    """What the settings say of deciding; see there."""

    by: str
    cost_of_wrong: float
    least_gain: float
    margin: float
    draws: int = 2000
    seed: int = 0

    @classmethod
    def of(cls, trainer: TrainerSettings) -> "Rule":
        """The rule that `trainer` sets."""
        return cls(
            by=trainer.decide_by,
            cost_of_wrong=trainer.cost_of_wrong,
            least_gain=trainer.least_gain,
            margin=trainer.margin,
            draws=trainer.bootstrap_draws,
            seed=trainer.bootstrap_seed,
        )

    @property
    def widest(self) -> float:
        """The largest difference that there can be."""
        return 1 + self.cost_of_wrong


def decide(
    parent: Evaluation,
    candidate: Evaluation,
    rule: Rule,
    best: Evaluation | None = None,
    look: int = 1,
) -> Decision:
    """Judge `candidate` against `parent` on the same held-out listings.

    Args:
        best: of the best former champion, where that is not the parent.
        look: how often the candidate has been judged with this time, from 1.

    Raises:
        TrainingError: they were not evaluated on the same listings.
    """
    for other in (parent, best):
        if other is not None and not other.same_listings(candidate):
            raise TrainingError("the adapters saw different listings; evaluate all of them anew")
    listings = len(candidate.listings)
    drawn = draw_listings(listings, rule.draws, rule.seed)

    def against(other: Evaluation, metric: str) -> Difference:
        before, after = (e.measure(metric, rule.cost_of_wrong) for e in (other, candidate))
        return difference(before, after, drawn, rule, look)

    differences = {metric: against(parent, metric) for metric in METRICS}
    gain, held = differences[rule.by], None if best is None else against(best, rule.by)
    by_inputs = _by_inputs(parent, candidate, rule, look)
    kind = verdict(gain, held, rule, look, harmed(by_inputs))
    needed = _needed(gain, held, rule, look, listings) if kind is Verdict.CHALLENGER else None
    best_id = best.adapter_id if best else None
    return Decision(
        kind=kind,
        reason=_reason(
            kind, gain, held, by_inputs, rule, look, listings, needed, parent.adapter_id, best_id
        ),
        by=rule.by,
        differences=differences,
        by_inputs=by_inputs,
        against_best=held,
        best_id=best_id,
        margin=rule.margin,
        listings=listings,
        look=look,
        needed_listings=needed,
    )


def alpha_of(look: int) -> float:
    """The probability of promoting what gains nothing that `look` spends."""
    return ALPHA / 2**look


def difference(
    before: Measure, after: Measure, drawn: Floats, rule: Rule, look: int = 1, sharing: int = 1
) -> Difference:
    """after - before over the same listings: lower bound at the look's alpha, upper at `ALPHA`,
    which `sharing` differences have in common."""
    listings = drawn.shape[1]
    value = after.value - before.value
    if listings < LEAST_LISTINGS:
        return Difference(value=value, lower=-rule.widest, upper=rule.widest, error=rule.widest)
    error = standard_error(paired(before, after, drawn), listings)
    return Difference(
        value=value,
        lower=max(-rule.widest, value - student_t(alpha_of(look), listings - 1) * error),
        upper=min(rule.widest, value + student_t(ALPHA / sharing, listings - 1) * error),
        error=error,
    )


def verdict(
    gain: Difference,
    held: Difference | None,
    rule: Rule,
    look: int,
    harmed: Mapping[str, Difference] | None = None,
) -> Verdict:
    """What the differences to the parent and (None: it is the parent) the best champion say, and
    those of the kinds of input that are `harmed`."""
    holds = held is None or held.lower >= -rule.margin
    if gain.lower > rule.least_gain and holds and not harmed:
        return Verdict.PROMOTE
    # Without any difference, as with the parent itself, there is no error and nothing to wait for.
    hopeless = gain.upper <= rule.least_gain or (held is not None and held.upper < -rule.margin)
    return Verdict.REJECT if hopeless or look >= LOOKS else Verdict.CHALLENGER


def harmed(by_inputs: Mapping[str, Difference]) -> dict[str, Difference]:
    """Those kinds of input that are surely worse."""
    return {inputs: found for inputs, found in by_inputs.items() if found.upper < 0}


def kinds_with_enough(listings: Iterable[int]) -> int:
    """How many kinds of input, of so many `listings` each, have enough to be judged; at least 1."""
    return max(1, sum(count >= LEAST_LISTINGS for count in listings))


def _by_inputs(
    parent: Evaluation, candidate: Evaluation, rule: Rule, look: int
) -> dict[str, Difference]:
    """candidate - parent for each kind of input; nothing where there is one alone."""
    before, after = parent.by_inputs(), candidate.by_inputs()
    after.pop("nothing", None)  # of which nobody expects an answer
    if len(after) < 2:
        return {}
    sharing = kinds_with_enough(len(own.listings) for own in after.values())

    def of(inputs: str) -> Difference:
        old, new = (e[inputs].measure(rule.by, rule.cost_of_wrong) for e in (before, after))
        drawn = draw_listings(len(after[inputs].listings), rule.draws, rule.seed)
        return difference(old, new, drawn, rule, look, sharing)

    return {inputs: of(inputs) for inputs in after}


def _reason(
    kind: Verdict,
    gain: Difference,
    held: Difference | None,
    by_inputs: Mapping[str, Difference],
    rule: Rule,
    look: int,
    listings: int,
    needed: int | None,
    parent_id: str,
    best_id: str | None,
) -> str:
    """One sentence for a person: what was compared, by how much, and what would settle it."""
    least = f"{rule.least_gain:g}"
    said = [
        f"{rule.by.replace('_', ' ')} {gain.value:+.3f} against {parent_id} "
        f"on {listings} held-out listings"
    ]
    if kind is Verdict.PROMOTE:
        said.append(f"surely more than {least} (lower bound {gain.lower:+.3f})")
    elif gain.upper <= rule.least_gain:
        said.append(f"surely not more than {least} (upper bound {gain.upper:+.3f})")
    elif gain.lower <= rule.least_gain:
        said.append(f"perhaps not more than {least} (lower bound {gain.lower:+.3f})")
    if held is not None:
        below = f"{rule.margin:g} below the best former champion {best_id}"
        if held.upper < -rule.margin:
            said.append(f"surely more than {below} (upper bound {held.upper:+.3f})")
        elif held.lower < -rule.margin:
            said.append(f"perhaps more than {below} (lower bound {held.lower:+.3f})")
        else:
            said.append(f"not more than {below} (lower bound {held.lower:+.3f})")
    for inputs, found in harmed(by_inputs).items():
        said.append(f"surely worse on {inputs} listings (upper bound {found.upper:+.3f})")
    sentence = ", ".join(said)
    if kind is Verdict.REJECT and look >= LOOKS:
        return f"{sentence}; this was the last of {LOOKS} looks"
    if needed is None:
        return sentence
    return f"{sentence}; about {needed:,} held-out listings would settle it"


def _needed(
    gain: Difference, held: Difference | None, rule: Rule, look: int, listings: int
) -> int | None:
    """How many held-out listings would settle it, the estimates staying as they are.

    The error shrinks with the square root of the listings; it must fall to the distance between the
    estimate and what it is compared with. None where that is more than anyone will ever have.
    """
    if listings < LEAST_LISTINGS:
        return LEAST_LISTINGS
    open_ = [(gain, rule.least_gain)] if gain.lower <= rule.least_gain else []
    if held is not None and held.lower < -rule.margin:
        open_.append((held, -rule.margin))
    if not open_:
        return None  # a kind of input is harmed, and more listings would say so more surely
    needed = 0.0
    for found, line in open_:
        above, distance = found.value > line, abs(found.value - line)
        if distance == 0:
            return None
        bound = student_t(alpha_of(look + 1) if above else ALPHA, listings - 1)
        needed = max(needed, listings * (bound * found.error / distance) ** 2)
    # Never fewer than are there already.
    settled = max(math.ceil(needed), listings + 1)
    return settled if settled <= MOST_LISTINGS else None
