"""The topics' names, and what stands on those that the pool is made of; needs no Kafka package."""

from schemas.events import (
    ListingForgotten,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    ModelEvent,
    RetrainRequest,
)

REQUESTS = "listing.requests"
BACKFILL = "listing.backfill"
PREDICTIONS = "listing.predictions"
REVIEWS = "listing.reviews"
RETRAIN = "training.retrain"
MODEL_EVENTS = "model.events"
DEAD_LETTERS = "listune.dead-letters"
FORGOTTEN = "listune.forgotten"

PAYLOAD_TOPICS = (REQUESTS, BACKFILL, PREDICTIONS, REVIEWS)
CONTROL_TOPICS = (RETRAIN, MODEL_EVENTS, FORGOTTEN)

# What the pool is made of: the events on each topic that it reads.
KINDS: dict[str, type[ListingRequest] | type[ListingPrediction] | type[ListingReview]] = {
    REQUESTS: ListingRequest,
    PREDICTIONS: ListingPrediction,
    REVIEWS: ListingReview,
}
CONTROL_KINDS: dict[str, type[ModelEvent] | type[RetrainRequest] | type[ListingForgotten]] = {
    MODEL_EVENTS: ModelEvent,
    RETRAIN: RetrainRequest,
    FORGOTTEN: ListingForgotten,
}
POOL_TOPICS = (*KINDS, *CONTROL_KINDS)
