"""Faults around listings: requests, answers, reviews, and what the pool made of them.

The first answer to a request is the canonical one, and whatever acts on another is at fault.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from infra.lab.chaos.evidence import Logged, PoolRows, Topics
from infra.lab.chaos.faults import Fault, Kind, repeated
from schemas.events import (
    BASE_ADAPTER,
    BLIND_ADAPTER,
    ListingPrediction,
    ListingReview,
    ModelEventKind,
    Purpose,
    Status,
)
from schemas.experiment import BLIND

_MOVES = (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK)

Answers = Mapping[str, Logged[ListingPrediction]]


def canonical(
    predictions: Iterable[Logged[ListingPrediction]],
) -> dict[str, Logged[ListingPrediction]]:
    """Of each request the first answer in the log. All answers to one lie in one partition."""
    first: dict[str, Logged[ListingPrediction]] = {}
    for logged in predictions:
        first.setdefault(logged.event.request_id, logged)
    return first


def listing_faults(
    topics: Topics,
    pool: PoolRows,
    first: Answers,
    stored_requests: Iterable[str],
    stored_reviews: Iterable[str],
) -> Iterator[Fault]:
    """All of them.

    Args:
        first: the canonical answers.
        stored_requests, stored_reviews: identities that the broker confirmed to the sellers.
    """
    yield from _in_topics(topics, stored_requests, stored_reviews)
    yield from _answers(topics, first)
    yield from _adapters(topics, first)
    yield from _pool(topics, pool, first)
    yield from _acceptance(topics, pool, first)
    yield from _samples(topics, pool, first)


def _in_topics(
    topics: Topics, stored_requests: Iterable[str], stored_reviews: Iterable[str]
) -> Iterator[Fault]:
    """What the broker confirmed is there, once."""
    for name, stored, found in (
        ("request", stored_requests, [e.event.request_id for e in topics.requests]),
        ("review", stored_reviews, [e.event.review_id for e in topics.reviews]),
    ):
        for identity in sorted(set(stored) - set(found)):
            yield Fault("lost", f"{name} {identity} was confirmed, and its topic lacks it")
        for identity in repeated(found):
            yield Fault("doubled", f"{name} {identity} stands in its topic twice")
    if topics.dead_letters:
        yield Fault("lost", f"{topics.dead_letters} valid events became dead letters")


def _answers(topics: Topics, first: Answers) -> Iterator[Fault]:
    """Every request has an answer, and every answer a request."""
    for live in topics.requests:
        answer = first.get(live.event.request_id)
        if answer is None:
            yield Fault("unanswered", f"request {live.event.request_id} has no answer")
        elif answer.event.status not in (Status.OK, Status.EXPIRED):
            yield Fault("failed", f"request {live.event.request_id}: {answer.event.error}")
    for order in topics.orders:
        done = order.offset < topics.answered_to.get(order.place, 0)
        if done and order.event.request_id not in first:
            yield Fault("unanswered", f"order {order.event.request_id} was passed over")
    asked = {e.event.request_id for e in (*topics.requests, *topics.orders)}
    for request_id in sorted(first.keys() - asked):
        yield Fault("strange", f"an answer to request {request_id}, which nobody sent")


def _adapters(topics: Topics, first: Answers) -> Iterator[Fault]:
    """Whoever answered had been made champion before, or been given an arm."""
    since = {BASE_ADAPTER: 0}
    for logged in topics.model_events:
        if logged.event.kind in _MOVES:
            since.setdefault(logged.event.adapter_hash or BASE_ADAPTER, logged.at_ms)
        elif (
            logged.event.kind is ModelEventKind.EXPERIMENT_STARTED
            and logged.event.experiment is not None
        ):
            for arm in logged.event.experiment.arms:
                name = BLIND_ADAPTER if arm.answers == BLIND else arm.adapter_hash
                since.setdefault(name or BASE_ADAPTER, logged.at_ms)
    for request_id, answer in first.items():
        name = answer.event.adapter_hash
        if answer.event.purpose is Purpose.SHADOW:
            continue  # nobody is shown it
        if answer.event.status is Status.OK and since.get(name, answer.at_ms + 1) > answer.at_ms:
            yield Fault(
                "strange", f"request {request_id} was answered by {name}, which had no leave yet"
            )


def _pool(topics: Topics, pool: PoolRows, first: Answers) -> Iterator[Fault]:
    """The pool has what it has read of the topics, and nothing else."""
    read = _read_by(pool)
    requests = {e.event.request_id for e in topics.requests if read(e)}
    reviews = {e.event.review_id for e in topics.reviews if read(e)}
    answers = {r: e.event.prediction_id for r, e in first.items() if read(e)}
    for name, due, found in (
        ("request", requests, pool.requests),
        ("review", reviews, pool.reviews),
        ("answer to", answers.keys(), pool.predictions.keys()),
    ):
        for identity in sorted(due - found):
            yield Fault("lost", f"{name} {identity} was read, and the pool lacks it")
        for identity in sorted(found - due):
            yield Fault("strange", f"{name} {identity} is in the pool, and not in the topics")
    for request_id in answers.keys() & pool.predictions.keys():
        if answers[request_id] != pool.predictions[request_id]:
            yield Fault("doubled", f"the pool took a later answer to request {request_id}")


def _acceptance(topics: Topics, pool: PoolRows, first: Answers) -> Iterator[Fault]:
    """Acceptance counts each live answer that was reviewed once, but for the blind ones."""
    read = _read_by(pool)
    answers = {
        e.event.prediction_id
        for e in first.values()
        if read(e) and e.event.purpose is Purpose.LIVE and e.event.adapter_hash != BLIND_ADAPTER
    }
    reviewed = {e.event.prediction_id for e in topics.reviews if read(e)}
    due = len(reviewed & answers)
    if due != pool.counted:
        kind: Kind = "lost" if pool.counted < due else "doubled"
        yield Fault(kind, f"{due} answers were reviewed, and acceptance counts {pool.counted}")
    every = {e.event.prediction_id for e in first.values()}
    for review in topics.reviews:
        if review.event.prediction_id not in every:
            yield Fault("doubled", f"{_name(review.event)} acts on an answer that is not the first")


def _samples(topics: Topics, pool: PoolRows, first: Answers) -> Iterator[Fault]:
    """Every gap was measured on a canonical answer and a review that are in the topics.

    The request of a gap is the seller's, and its answer may be to an order to measure it again; it
    is an answer to the text that was reviewed.
    """
    requests = {e.event.request_id for e in topics.requests}
    reviews = {e.event.review_id: e.event.prediction_id for e in topics.reviews}
    answers = {e.event.prediction_id: e.event.input_hash for e in topics.predictions}
    canonical_ones = {e.event.prediction_id for e in first.values()}
    for request_id, prediction_id, review_id in pool.samples:
        if not (request_id in requests and prediction_id in answers and review_id in reviews):
            yield Fault("strange", f"a gap of request {request_id}, which the topics do not give")
        elif prediction_id not in canonical_ones:
            yield Fault("doubled", f"the gap of request {request_id} is by a later answer")
        elif answers.get(reviews[review_id]) not in (None, answers[prediction_id]):
            yield Fault("strange", f"the gap of request {request_id} is on a text not reviewed")


def _read_by(pool: PoolRows) -> Callable[[Logged], bool]:
    """Whether the pool has read so far."""
    return lambda logged: logged.offset < pool.read_to.get(logged.place, 0)


def _name(review: ListingReview) -> str:
    return f"review {review.review_id}"
