"""Does a round lose what earlier ones taught? Parent and candidate on listings of earlier rounds.

Their held-out listings, not those that were trained on: on the latter the parent is flattered by
what it learnt by heart, whose fading harms no seller, and a strategy that replays them would be
asked what it was just told. Nothing is decided here: the gate looks at the newest held-out listings
alone.
"""

from collections.abc import Collection, Sequence

from serving.adapter_file import AdapterFile
from serving.settings import ServingSettings
from trainer.data.dataset import Row, read_rows, with_role
from trainer.data.registry import Entry
from trainer.judging.evaluate import METRICS, Evaluation, EvaluationKey, score
from trainer.judging.judge import Judge
from trainer.results import Forgetting
from trainer.settings import TrainerSettings


def forgetting(
    chain: Sequence[Entry],
    parent: AdapterFile | None,
    candidate: AdapterFile,
    judge: Judge,
    serving: ServingSettings,
    trainer: TrainerSettings,
    forgotten: Collection[str] = (),
) -> list[Forgetting]:
    """What both are worth on `trainer.forgetting` listings of each round of `chain`; 0 is none.

    A round without held-out listings is left out. `forgotten` are the SHA-256 of listings that
    nobody is asked about any more.

    Raises:
        DataError: a file of an earlier round is missing or another.
    """
    if parent is None or not trainer.forgetting:
        return []  # before the base there is nothing
    files = [with_role(entry.data(), "heldout") for entry in chain]
    read = [
        judge.pictures.in_store(read_rows(of_round, forgotten)[: trainer.forgetting], "judged")
        for of_round in files
    ]
    slices = [(e.lineage.round, rows) for e, rows in zip(chain, read, strict=True) if rows]
    if not slices:
        return []
    parts = [rows for _, rows in slices]
    cost = trainer.cost_of_wrong
    before = _shares(parent, parts, judge, serving, cost, "judge parent on earlier rounds")
    after = _shares(candidate, parts, judge, serving, cost, "judge candidate on earlier rounds")
    return [
        Forgetting(round=number, listings=len(rows), parent=old, candidate=new)
        for (number, rows), old, new in zip(slices, before, after, strict=True)
    ]


def _shares(
    adapter: AdapterFile,
    parts: Sequence[Sequence[Row]],
    judge: Judge,
    serving: ServingSettings,
    cost_of_wrong: float,
    stage: str,
) -> list[dict[str, float]]:
    """`METRICS` of each part."""
    answers = iter(judge.ask(adapter, [row for part in parts for row in part], serving.mode, stage))
    shares = []
    for number, part in enumerate(parts):
        scores = [score(row, next(answers)) for row in part]
        evaluation = Evaluation(
            key=EvaluationKey.of(adapter.hash, adapter.base_hash, f"part {number}", serving),
            adapter_id=adapter.id,
            listings=scores,
            seconds=sum(listing.seconds for listing in scores),
        )
        shares.append({m: evaluation.measure(m, cost_of_wrong).value for m in METRICS})
    return shares
