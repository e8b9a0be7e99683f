"""From which adapter, and on which listings, a round is trained. Small, named, interchangeable.

A strategy is a pure plan over rows, so that the experiment runs the very same ones as the trainer.

- `progressive`, equation (5): from the parent, on this round's listings.
- `cumulative`, equation (4): from the base, on all rounds' listings, in the same steps.
- `cumulative-scaled`: as cumulative, its steps in proportion to its data (the paper's ablation).
- `replay`, ours: progressive, with some earlier listings among the new ones and, afterwards, an
  average with the parent in weight space, both against forgetting. Each can be switched off.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from serving.adapter_file import AdapterFile
from trainer.data.dataset import Row
from trainer.settings import TrainerSettings


@dataclass(frozen=True)
class Earlier:
    """A round on the way to the parent."""

    number: int
    rows: Callable[[], list[Row]]
    """Its training listings, hardest first; read when a strategy needs them."""


@dataclass(frozen=True)
class Situation:
    """What a strategy knows."""

    parent: AdapterFile | None  # None: the base
    earlier: Sequence[Earlier]  # oldest first
    new: Sequence[Row]  # S_t, hardest first
    settings: TrainerSettings


@dataclass(frozen=True)
class Plan:
    """What a strategy wants done."""

    start: AdapterFile | None  # where training starts; None: the base
    rows: list[Row]  # what is trained on, earlier rounds' first
    steps: int
    parent_share: float = 0.0  # of the parent in a weight-space average afterwards; 0: none


Strategy = Callable[[Situation], Plan]


def progressive(situation: Situation) -> Plan:
    """Equation (5): M_t = FineTune(M_{t-1}, S_t)."""
    return Plan(situation.parent, list(situation.new), situation.settings.steps)


def cumulative(situation: Situation) -> Plan:
    """Equation (4): M_t = FineTune(M_0, S_1 ∪ … ∪ S_t), over the rounds that led to the parent."""
    before = [row for earlier in situation.earlier for row in earlier.rows()]
    return Plan(None, [*before, *situation.new], situation.settings.steps)


def cumulative_scaled(situation: Situation) -> Plan:
    """Equation (4) with the steps of all its rounds: in round two, twice as many."""
    plan = cumulative(situation)
    return Plan(plan.start, plan.rows, plan.steps * (len(situation.earlier) + 1))


def replay(situation: Situation) -> Plan:
    """Equation (5) with `replay_share` of earlier listings and `average_with_parent` of the parent.

    The steps stay the same: what is replayed takes its share of them from the new listings.
    """
    settings, new = situation.settings, list(situation.new)
    count = round(len(new) * settings.replay_share / (1 - settings.replay_share))
    replayed = replayed_rows(situation.earlier, count) if count else []
    # An average with the base would only shrink the first adapter.
    share = settings.average_with_parent if situation.parent else 0.0
    return Plan(situation.parent, [*replayed, *new], settings.steps, share)


STRATEGIES: dict[str, Strategy] = {
    "progressive": progressive,
    "cumulative": cumulative,
    "cumulative-scaled": cumulative_scaled,
    "replay": replay,
}


def replayed_rows(earlier: Sequence[Earlier], count: int) -> list[Row]:
    """`count` listings of earlier rounds, stratified by category, hardest first.

    The categories take turns, so that a rare one is not forgotten, and each gives its listings by
    their place in their own rounds; of equal places the later round's first, whose model was the
    nearer one. The categories' own order is that of their hardest listings.
    """
    placed = [(place, -one.number, row) for one in earlier for place, row in enumerate(one.rows())]
    hardest_first = [row for *_, row in sorted(placed, key=lambda entry: entry[:2])]
    return _in_turns(hardest_first)[:count]


def _in_turns(rows: Iterable[Row]) -> list[Row]:
    """One row of each category, then the next of each, and so on."""
    turns: dict[str, int] = {}
    numbered = []
    for row in rows:
        turn = turns[row.listing.category] = turns.get(row.listing.category, -1) + 1
        numbered.append((turn, row))
    return [row for _, row in sorted(numbered, key=lambda entry: entry[0])]
