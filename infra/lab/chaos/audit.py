"""Is every event accounted for? Pure functions over what topics and pool hold.

A *fault* is one of:

    lost        the broker confirmed it and the topic lacks it, or the topic has it and the pool not
    doubled     stored twice, counted twice, or a second answer that something acted on
    unanswered  a request without any answer, or a round that nobody closed
    failed      a valid request that was answered with a failure
    strange     in the pool and not in the topics, by an adapter that nobody let answer, or in
                another arm of an experiment than the same seller's answer before

No faults are: a second answer that nobody acted on (the first in the log is the canonical one), an
order to measure again that was sent twice under one identity, and an `expired` answer, which is
counted by itself.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from infra.lab.chaos.evidence import Logged, PoolRows, Topics
from schemas.events import (
    BASE_ADAPTER,
    BLIND_ADAPTER,
    TERMINAL_KINDS,
    ListingPrediction,
    ListingReview,
    ModelEvent,
    ModelEventKind,
    Purpose,
    RetrainRequest,
    Status,
)
from schemas.experiment import BLIND, Experiment

Kind = Literal["lost", "doubled", "unanswered", "failed", "strange"]
KINDS: tuple[Kind, ...] = ("lost", "doubled", "unanswered", "failed", "strange")

MOST_EXPIRED = 0.01
"""The share of live requests that may expire though Triton is up."""

_MOVES = (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK)
_STARTED, _ENDED = ModelEventKind.EXPERIMENT_STARTED, ModelEventKind.EXPERIMENT_ENDED
_BY_CONDUCTOR = (ModelEventKind.PROMOTED, ModelEventKind.SUPERSEDED, _ENDED)
_Place = tuple[int, int, int]
"""A round's number, an attempt at it, and a look at what came out of it."""


@dataclass(frozen=True)
class Fault:
    """One event that is not accounted for, and in a sentence what is wrong with it."""

    kind: Kind
    what: str


@dataclass(frozen=True)
class Audit:
    """What was found.

    expired: live requests answered `expired`; expired_with_triton: those of them that waited while
    Triton was down. answered_again: second answers, which nobody acted on. waits: of each live
    request when it was stored, in milliseconds since 1970, and the seconds until its answer was.
    canaries: that began. in_arms: answers to sellers in an arm of an experiment or a canary.
    """

    faults: tuple[Fault, ...]
    requests: int
    orders: int
    reviews: int
    rounds: int
    promotions: int
    expired: int
    expired_with_triton: int
    answered_again: int
    ordered_again: int
    closed_again: int
    waits: tuple[tuple[int, float], ...] = ()
    canaries: int = 0
    in_arms: int = 0

    def count(self, kind: Kind) -> int:
        """How many faults there are of this kind."""
        return sum(fault.kind == kind for fault in self.faults)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong, and at most a hundredth expired for no good reason."""
        return not self.faults and self.expired_share <= MOST_EXPIRED

    @property
    def expired_share(self) -> float:
        """Of all live requests, those that expired though Triton was up."""
        return (self.expired - self.expired_with_triton) / max(1, self.requests)


def audit(
    topics: Topics,
    pool: PoolRows,
    stored_requests: Iterable[str],
    stored_reviews: Iterable[str],
    triton_down: Sequence[tuple[int, int]],
) -> Audit:
    """Compares all with all.

    Args:
        topics: every event.
        pool: what the pool made of them.
        stored_requests, stored_reviews: identities that the broker confirmed to the sellers.
        triton_down: when Triton was down, from and to in milliseconds since 1970.
    """
    first = canonical(topics.predictions)
    expired = _expired(topics, first)
    waited = [life for life in expired if any(_overlap(life, down) for down in triton_down)]
    closed = [e.event for e in topics.model_events if _closes(e.event)]
    return Audit(
        faults=(
            *_in_topics(topics, stored_requests, stored_reviews),
            *_answers(topics, first),
            *_adapters(topics, first),
            *_pool(topics, pool, first),
            *_acceptance(topics, pool, first),
            *_samples(topics, pool, first),
            *_rounds(topics),
            *_arms(topics),
            *_experiments(topics),
        ),
        requests=len(topics.requests),
        orders=len(topics.orders),
        reviews=len(topics.reviews),
        rounds=len({(e.event.pool, e.event.round) for e in topics.rounds}),
        promotions=sum(event.kind is ModelEventKind.PROMOTED for event in closed),
        expired=len(expired),
        expired_with_triton=len(waited),
        answered_again=len(topics.predictions) - len(first),
        ordered_again=len(topics.orders) - len({e.event.request_id for e in topics.orders}),
        closed_again=len(closed) - len({_place(e) for e in closed}),
        waits=tuple(
            (live.at_ms, (answer.at_ms - live.at_ms) / 1000)
            for live in topics.requests
            if (answer := first.get(live.event.request_id)) is not None
        ),
        canaries=sum(_starts_canary(e.event) for e in topics.model_events),
        in_arms=sum(bool(e.event.arms) for e in first.values()),
    )


def canonical(
    predictions: Iterable[Logged[ListingPrediction]],
) -> dict[str, Logged[ListingPrediction]]:
    """Of each request the first answer in the log. All answers to one lie in one partition."""
    first: dict[str, Logged[ListingPrediction]] = {}
    for logged in predictions:
        first.setdefault(logged.event.request_id, logged)
    return first


Answers = Mapping[str, Logged[ListingPrediction]]


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
        for identity in _repeated(found):
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
        elif logged.event.kind is _STARTED and logged.event.experiment is not None:
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


def _rounds(topics: Topics) -> Iterator[Fault]:
    """Every attempt at a round, and every look, was ordered once, for a reason, and closed once."""
    ordered = [_place(e.event) for e in topics.rounds]
    ends: dict[_Place, list[ModelEvent]] = {}
    for logged in topics.model_events:
        if _closes(logged.event):
            ends.setdefault(_place(logged.event), []).append(logged.event)
    for place in _repeated(ordered):
        yield Fault("doubled", f"{_said(place)} was ordered twice")
    for event_id in _repeated(e.event.event_id for e in topics.model_events):
        yield Fault("doubled", f"model event {event_id} stands in its topic twice")
    tried = {_place(e.event) for e in topics.model_events if _starts_canary(e.event)}
    for place, said in ends.items():
        # Sellers may decide about a challenger in place of a further look.
        by_sellers = place in tried and said[0].kind is ModelEventKind.CHALLENGER
        if any(event.kind in _BY_CONDUCTOR for event in said[2 if by_sellers else 1 :]):
            kinds = ", ".join(event.kind for event in said)
            yield Fault("doubled", f"{_said(place)} was closed by {kinds}")
        if place not in ordered:
            yield Fault("strange", f"{_said(place)} ended and was not ordered")
    for round_, attempt, look in ordered:
        before = ends.get((round_, attempt - 1, 1), [])
        failed = before and before[0].kind is ModelEventKind.FAILED
        if attempt > 1 and look == 1 and not failed:
            yield Fault("doubled", f"round {round_} was tried again, and had not failed")
    promoted = [
        event.adapter_hash
        for said in ends.values()
        for event in said
        if event.kind is ModelEventKind.PROMOTED
    ]
    for adapter_hash in _repeated(promoted):
        yield Fault("doubled", f"adapter {adapter_hash} was promoted by two rounds")
    for place in ordered:
        if place != ordered[-1] and place not in ends:  # the last one may still be under way
            yield Fault("unanswered", f"{_said(place)} was never closed")


def _arms(topics: Topics) -> Iterator[Fault]:
    """Nobody changes arms within an experiment, whoever answers how often."""
    arms: dict[tuple[str, str], str] = {}
    for logged in topics.predictions:
        for experiment, arm in logged.event.arms.items():
            before = arms.setdefault((experiment, logged.event.unit), arm)
            if before != arm:
                yield Fault(
                    "strange", f"{logged.event.unit} is in {before} and in {arm} of {experiment}"
                )


def _experiments(topics: Topics) -> Iterator[Fault]:
    """Each experiment and canary was started, made larger and ended once."""
    running: dict[str, Experiment] = {}
    for logged in topics.model_events:
        event, experiment = logged.event, logged.event.experiment
        if event.kind in _MOVES:
            running = {name: one for name, one in running.items() if not one.is_canary}
        elif event.kind is _STARTED and experiment is not None:
            if running.get(experiment.name) == experiment:
                yield Fault("doubled", f"{experiment.name} was started twice")
            running[experiment.name] = experiment
        elif (
            event.kind is _ENDED
            and experiment is not None
            and running.pop(experiment.name, None) is None
        ):
            yield Fault("doubled", f"{experiment.name} was ended, and did not run")


def _starts_canary(event: ModelEvent) -> bool:
    started = event.kind is _STARTED and event.experiment is not None
    return started and event.experiment is not None and event.experiment.is_canary


def _place(event: RetrainRequest | ModelEvent) -> _Place:
    return event.round, event.attempt, event.look


def _said(place: _Place) -> str:
    round_, attempt, look = place
    return f"look {look} at round {round_}" if look > 1 else f"attempt {attempt} at round {round_}"


def _closes(event: ModelEvent) -> bool:
    """Whether it ends a round, as the end of a canary does; a person's wish moves the alias outside
    of any, and the experiment of the settings belongs to none."""
    return (event.kind in TERMINAL_KINDS or event.kind is _ENDED) and event.round > 0


def _expired(topics: Topics, first: Answers) -> list[tuple[int, int]]:
    """From and to, in milliseconds since 1970, of live requests that were answered `expired`."""
    lives = []
    for live in topics.requests:
        answer = first.get(live.event.request_id)
        if answer is not None and answer.event.status is Status.EXPIRED:
            lives.append((live.event.created_ms, answer.at_ms))
    return lives


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _read_by(pool: PoolRows) -> Callable[[Logged], bool]:
    """Whether the pool has read so far."""
    return lambda logged: logged.offset < pool.read_to.get(logged.place, 0)


def _repeated(identities: Iterable) -> list:
    """Those that occur more than once, sorted."""
    return sorted(identity for identity, count in Counter(identities).items() if count > 1)


def _name(review: ListingReview) -> str:
    return f"review {review.review_id}"
