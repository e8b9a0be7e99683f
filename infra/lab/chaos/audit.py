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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infra.lab.chaos.evidence import PoolRows, Topics
from infra.lab.chaos.faults import Fault, Kind
from infra.lab.chaos.listing_faults import Answers, canonical, listing_faults
from infra.lab.chaos.round_faults import closes, place_of, round_faults, starts_canary
from schemas.events import ModelEventKind, Status

MOST_EXPIRED = 0.01
"""The share of live requests that may expire though Triton is up."""


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
    closed = [e.event for e in topics.model_events if closes(e.event)]
    return Audit(
        faults=(
            *listing_faults(topics, pool, first, stored_requests, stored_reviews),
            *round_faults(topics),
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
        closed_again=len(closed) - len({place_of(e) for e in closed}),
        waits=tuple(
            (live.at_ms, (answer.at_ms - live.at_ms) / 1000)
            for live in topics.requests
            if (answer := first.get(live.event.request_id)) is not None
        ),
        canaries=sum(starts_canary(e.event) for e in topics.model_events),
        in_arms=sum(bool(e.event.arms) for e in first.values()),
    )


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
