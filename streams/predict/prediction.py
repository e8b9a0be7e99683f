"""What is written of an answer."""

from collections.abc import Mapping
from typing import TypeVar

from schemas.conditions import applying
from schemas.events import ListingPrediction, ListingRequest, Status, new_id
from serving.generation import GenerationResult
from streams.predict.answerers import Question
from streams.predict.traffic import Plan

T = TypeVar("T")


def answered(
    request: ListingRequest,
    question: Question,
    plan: Plan,
    result: GenerationResult,
    latency_ms: float,
) -> ListingPrediction:
    """The prediction that `result` makes. Of attributes with a condition only what applies is kept.

    `tokens_written` are those that went through the model's head (drafts too, where it guesses
    ahead), `tokens_read` all others that it computed, nearly all of them the prompt's. Of an
    endpoint both are what it counts itself. A blind answer has none.
    """
    asked = question.attributes
    apply = {attribute.name: attribute for attribute in applying(asked, result.values)}
    values = _of(apply, result.values)
    return _prediction(
        request,
        status=Status.OK,
        category=question.schema.category,
        category_schema_hash=question.schema.hash,
        requested=[attribute.name for attribute in asked],
        values=values,
        invalid=_of(apply, result.invalid),
        cut=[name for name in result.cut if name in apply],
        confidence=_of(apply, result.confidence),
        missing_required=[
            name for name, one in apply.items() if one.required and not values.get(name)
        ],
        mode=question.mode,
        batches=result.batches,
        adapter_id=result.adapter_id,
        adapter_hash=result.adapter_hash,
        latency_ms=latency_ms,
        arms=dict(plan.arms),
        fell_back=plan.fell_back,
        tokens_read=max(0, result.tokens_computed - result.logits_computed),
        tokens_written=result.logits_computed,
        notes=list(result.notes),
    )


def _of(names: Mapping[str, object], told: Mapping[str, T]) -> Mapping[str, T]:
    """Of what is told about attributes, that about `names`: nearly always all of it."""
    if told.keys() <= names.keys():
        return told
    return {name: one for name, one in told.items() if name in names}


def unanswered(
    request: ListingRequest, status: Status, reason: str, arms: Mapping[str, str]
) -> ListingPrediction:
    """The prediction that has no values, and says why in `reason`."""
    return _prediction(request, status=status, error=reason, arms=dict(arms))


def _prediction(request: ListingRequest, **fields: object) -> ListingPrediction:
    shared = {
        "prediction_id": new_id(),
        "request_id": request.request_id,
        "listing_id": request.listing_id,
        "seller_id": request.seller_id,
        "tags": request.tags,
        "category": request.category,
        "category_schema_hash": request.category_schema_hash,
        "input_hash": request.input_hash(),
        "purpose": request.purpose,
    }
    return ListingPrediction.model_validate(shared | fields)
