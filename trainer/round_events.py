"""A round as the events that tell of it in `model.events`; see `trainer.worker` for their order."""

from typing import Any

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from trainer.results import RoundResult, Verdict, adapter_id

KIND_OF = {
    Verdict.PROMOTE: ModelEventKind.PROPOSED,
    Verdict.REJECT: ModelEventKind.REJECTED,
    Verdict.CHALLENGER: ModelEventKind.CHALLENGER,
}


def round_event(
    request: RetrainRequest, kind: ModelEventKind, worker: str, **facts: Any
) -> ModelEvent:
    """What `worker` says of the round."""
    return ModelEvent(
        kind=kind,
        pool=request.pool,
        round=request.round,
        attempt=request.attempt,
        look=request.look,
        adapter_id=adapter_id(request),
        parent_id=request.parent_id,
        parent_hash=request.parent_hash,
        worker=worker,
        **facts,
    )


def judged_facts(result: RoundResult) -> dict[str, Any]:
    """The facts of a round that was judged, as fields of its events."""
    return {
        "adapter_hash": result.adapter_hash,
        "adapter_uri": result.adapter_path,
        "metrics": result.metrics,
        "parent_metrics": result.parent_metrics,
        "train_seconds": result.train_seconds,
        "eval_seconds": result.eval_seconds,
        "reason": result.decision.reason,
        "details": _details(result),
    }


def _details(result: RoundResult) -> dict[str, float | int | str | bool | None]:
    """The round's figures, flat, for the log and for people."""
    decision = result.decision
    details: dict[str, float | int | str | bool | None] = {
        **(result.trained.model_dump(exclude={"seconds"}) if result.trained else {}),
        "decided_by": decision.by,
        "listings_judged": decision.listings,
        "margin": decision.margin,
        "best": decision.best_id,
        "needed_listings": decision.needed_listings,
        "evaluation": result.evaluation,
        "parent_evaluation": result.parent_evaluation,
        "losses": result.losses,
        "forgetting": "; ".join(map(str, result.forgetting)) or None,
    }
    for metric, difference in decision.differences.items():
        details |= {
            f"{metric}_difference": difference.value,
            f"{metric}_lower": difference.lower,
            f"{metric}_upper": difference.upper,
        }
    for inputs, difference in decision.by_inputs.items():
        details |= {
            f"{inputs}_difference": difference.value,
            f"{inputs}_lower": difference.lower,
            f"{inputs}_upper": difference.upper,
        }
    return details
