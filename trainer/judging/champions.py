"""The candidate beside its parent and the best former champion, on the same held-out listings.

Who the best is follows the held-out listings: an adapter's lineage names the best of then, and of
that one and the parent the one that is worth more on today's listings counts. A promotion needs a
gain over the parent and must hold against the best, so that losses too small to see do not add up.
"""

from dataclasses import dataclass
from pathlib import Path

from schemas.events import BASE_ADAPTER, RetrainRequest
from serving.adapter_file import AdapterFile
from serving.generation import AdapterName
from trainer.data.registry import Registry, read_checked
from trainer.judging.evaluate import Evaluation
from trainer.judging.gate import Rule, decide
from trainer.judging.judge import Judge
from trainer.results import Decision
from trainer.settings import TrainerSettings


@dataclass(frozen=True)
class Judged:
    """What was compared, what came of it, and the best champion that there has been."""

    parent: Evaluation
    candidate: Evaluation
    decision: Decision
    best: AdapterName


def judge_candidate(
    request: RetrainRequest,
    registry: Registry,
    parent: AdapterFile | None,
    candidate: AdapterFile,
    judge: Judge,
    trainer: TrainerSettings,
) -> Judged:
    """Judge `candidate` against `parent` (None: the base) and the best former champion.

    Raises:
        EngineError: an adapter does not fit the base.
        RegistryError: the best former champion's file is damaged.
    """
    rule = Rule.of(trainer)
    own = AdapterName(request.parent_id, request.parent_hash)
    before = judge.evaluate(parent, "judge parent")
    best, best_evaluation = own, None
    former = former_best(request, registry)
    if former != own:
        path = registry.path(former.id)
        judged = judge.evaluate(_adapter(former, path), "judge best former champion")
        if _worth(judged, rule) > _worth(before, rule):
            best, best_evaluation = former, judged
    after = judge.evaluate(candidate, "judge candidate")
    decision = decide(before, after, rule, best_evaluation, request.look)
    return Judged(before, after, decision, best)


def former_best(request: RetrainRequest, registry: Registry) -> AdapterName:
    """The best champion before the parent, by the parent's lineage; the parent itself where that
    is not known (it may be given by its file alone) or is gone."""
    parent = AdapterName(request.parent_id, request.parent_hash)
    if not registry.has(parent.id):
        return parent
    lineage = registry.get(parent.id).lineage
    best = AdapterName(lineage.best_id, lineage.best_hash)
    return best if best.hash == BASE_ADAPTER or registry.has(best.id) else parent


def _adapter(champion: AdapterName, path: Path) -> AdapterFile | None:
    return None if champion.hash == BASE_ADAPTER else read_checked(path, champion.hash)


def _worth(evaluation: Evaluation, rule: Rule) -> float:
    return evaluation.measure(rule.by, rule.cost_of_wrong).value
