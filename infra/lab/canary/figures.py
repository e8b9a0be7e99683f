"""What the topics say of each canary, in log order and by the broker's clock. Pure.

The deciding review is the one after which the sequence, fed seller by seller, first refuted that
the adapter is as good as its parent (or that it loses the margin). The conductor looks once a
second: by then a few more sellers may be in, and those that it names are counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from infra.lab.chaos.evidence import Logged, Topics
from infra.lab.chaos.listing_faults import canonical
from schemas.events import ListingPrediction, ListingReview, ModelEvent, ModelEventKind, Status
from schemas.experiment import CANARY_ARM
from streams.statistics.betting import BettingDifference

_ENDS = (ModelEventKind.EXPERIMENT_ENDED, ModelEventKind.PROMOTED)


@dataclass(frozen=True)
class Course:
    """One canary, from its start to its end.

    adapter: its id. back: whether it ended with the parent. sellers, parents: reviewed ones that
    were in when it was decided. needed: of the canary, up to the deciding review; None where
    `most_sellers` decided. decided_s: from the deciding review up to the decision. last_answer_s:
    from there up to its last answer, at least 0. exposed: its answers; live: all from its start to
    its end. reason: the conductor's.
    """

    adapter: str
    back: bool
    sellers: int
    parents: int
    needed: int | None
    decided_s: float | None
    last_answer_s: float | None
    exposed: int
    live: int
    reason: str


@dataclass(frozen=True)
class _Closed:
    treated: bool
    number: float
    at_ms: int


def courses(topics: Topics, cost: float, error: float, margin: float) -> list[Course]:
    """Every canary that ended, in the order of their starts."""
    return [
        _course(topics, started, ended, cost, error, margin)
        for started, ended in _pairs(topics.model_events)
    ]


def unanswered(topics: Topics) -> int:
    """Live requests without an `ok` answer."""
    first = canonical(topics.predictions)
    return sum(
        (answer := first.get(asked.event.request_id)) is None
        or answer.event.status is not Status.OK
        for asked in topics.requests
    )


def exposed_share(topics: Topics, found: Sequence[Course]) -> float:
    """Of all live requests, those that an adapter in its canary answered."""
    return sum(course.exposed for course in found) / max(1, len(topics.requests))


def _pairs(
    events: Sequence[Logged[ModelEvent]],
) -> Iterator[tuple[Logged[ModelEvent], Logged[ModelEvent]]]:
    started: Logged[ModelEvent] | None = None
    for logged in events:
        if logged.event.kind is ModelEventKind.EXPERIMENT_STARTED:
            started = logged
        elif started is not None and logged.event.kind in _ENDS:
            yield started, logged
            started = None


def _course(
    topics: Topics,
    started: Logged[ModelEvent],
    ended: Logged[ModelEvent],
    cost: float,
    error: float,
    margin: float,
) -> Course:
    experiment, tried = started.event.experiment, started.event.adapter_hash
    assert experiment is not None
    first = canonical(topics.predictions)
    closed = list(_closed(topics.reviews, list(first.values()), experiment.name, tried, cost))
    back = ended.event.kind is ModelEventKind.EXPERIMENT_ENDED
    sequence = BettingDifference.over(((c.treated, c.number) for c in closed), 2 * error)
    place = sequence.refuted_at(0.0 if back else -margin / (1 + cost))
    mine = [a.at_ms for a in first.values() if a.event.adapter_hash == tried and a.event.arms]
    mine = [at for at in mine if back or at <= ended.at_ms]
    decided_ms = _at(closed, *place) if place else None
    sellers, parents = (int(ended.event.details[n] or 0) for n in ("sellers", "parent_sellers"))
    if place is not None and place[0] > sellers:
        place = decided_ms = None
    return Course(
        adapter=str(started.event.adapter_id),
        back=back,
        sellers=sellers,
        parents=parents,
        needed=place[0] if place else None,
        decided_s=(ended.at_ms - decided_ms) / 1000 if decided_ms else None,
        last_answer_s=max(0.0, (max(mine) - decided_ms) / 1000) if decided_ms and mine else None,
        exposed=len(mine),
        live=sum(started.at_ms <= r.at_ms <= ended.at_ms for r in topics.requests),
        reason=ended.event.reason or "",
    )


def _closed(
    reviews: Sequence[Logged[ListingReview]],
    answers: Sequence[Logged[ListingPrediction]],
    experiment: str,
    tried: str | None,
    cost: float,
) -> Iterator[_Closed]:
    """Each seller's number at the first review, in log order, scaled to 0 to 1."""
    of = {a.event.prediction_id: a.event for a in answers if experiment in a.event.arms}
    seen: set[str] = set()
    for logged in sorted(reviews, key=lambda r: (r.at_ms, r.offset, r.place)):
        answer = of.get(logged.event.prediction_id)
        if answer is None or answer.unit in seen:
            continue
        seen.add(answer.unit)
        treated = answer.arms[experiment] == CANARY_ARM
        if treated and answer.adapter_hash != tried:
            continue
        shown, submitted = logged.event.shown, logged.event.submitted
        accepted = sum(submitted.get(name) == value for name, value in shown.items() if value)
        wrong = sum(bool(value) for value in shown.values()) - accepted
        benefit = (accepted - cost * wrong) / len(answer.requested)
        yield _Closed(treated, (benefit + cost) / (1 + cost), logged.at_ms)


def _at(closed: Sequence[_Closed], treated: int, control: int) -> int:
    """When so many sellers of both arms were in, in milliseconds."""
    counts = [0, 0]
    for one in closed:
        counts[one.treated] += 1
        if counts[1] >= treated and counts[0] >= control:
            return one.at_ms
    raise AssertionError("the sequence has seen no more sellers than there are")
