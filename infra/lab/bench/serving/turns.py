"""Listings asked for in several ways by one engine, the ways in turn.

So a machine that gets busier meanwhile slows down all ways alike, and ratios of them can be taken
where their seconds cannot be trusted.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from infra.lab.bench.job import say
from infra.lab.bench.serving.arm import AnswerCost
from infra.lab.bench.serving.listune_way import answer_all, counts
from infra.lab.bench.serving.workload import ListingPlan
from serving.engine.engine import Engine
from serving.generation import GenerationRequest


class Asking(Protocol):
    """An engine, and how it is asked."""

    engine: Engine

    def request(self, plan: ListingPlan, kind: str) -> GenerationRequest:
        """`plan` asked for in the way `kind`."""
        ...


def answered(asking: Asking, plan: ListingPlan, kind: str) -> tuple[float, AnswerCost]:
    """Answer one listing, alone: its seconds and cost."""
    request = asking.request(plan, kind)
    began = time.perf_counter()
    result = asking.engine.generate(request)
    seconds = time.perf_counter() - began
    assert result.pictures == len(request.pictures), result.notes
    return seconds, AnswerCost(result.forward_passes, result.tokens_computed)


def alone(
    asking: Asking, plans: Sequence[ListingPlan], kinds: Sequence[str]
) -> dict[str, dict[str, list[Any]]]:
    """Seconds and works of each listing, by kind."""
    found: dict[str, dict[str, list[Any]]] = {kind: {"seconds": [], "works": []} for kind in kinds}
    for number, plan in enumerate(plans):
        say(number, len(plans), "one at a time")
        for kind in _turned(kinds, number):
            seconds, cost = answered(asking, plan, kind)
            found[kind]["seconds"].append(seconds)
            found[kind]["works"].append(asdict(cost))
    return found


def crowds(
    asking: Asking,
    plans: Sequence[ListingPlan],
    kinds: Sequence[str],
    rounds: int,
    in_flight: int,
) -> dict[str, Any]:
    """All `rounds` of a kind together, by kind; None where there are no listings or no rounds."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for kind in in_turn(kinds, rounds if plans else 0, f"{in_flight} at a time"):
        requests = [asking.request(plan, kind) for plan in plans]
        found[kind].append(_crowd(asking.engine, requests, in_flight))
    return {kind: _together(of_kind) if of_kind else None for kind, of_kind in found.items()}


def in_turn(kinds: Sequence[str], rounds: int, label: str) -> Iterator[str]:
    """The kinds, `rounds` times, in another order each time."""
    order = [kind for number in range(rounds) for kind in _turned(kinds, number)]
    for place, kind in enumerate(order):
        say(place, len(order), label)
        yield kind


def _crowd(engine: Engine, requests: Sequence[GenerationRequest], in_flight: int) -> dict[str, Any]:
    finished: list[float] = []
    before, began = counts(engine), time.perf_counter()
    answer_all(engine, requests, in_flight, lambda: finished.append(time.perf_counter() - began))
    return {"seconds": max(finished), "finished": finished, "work": counts(engine) - before}


def _together(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Crowds as one, as `infra.lab.bench.serving.arm` has it; and the seconds of each. Without the
    logits: the arithmetic limit knows neither pictures nor adapters."""
    work: Counter[str] = sum((crowd["work"] for crowd in rounds), Counter())
    finished = [second for crowd in rounds for second in crowd["finished"]]
    return {
        "listings": len(finished),
        "seconds": sum(crowd["seconds"] for crowd in rounds),
        "rounds": [crowd["seconds"] for crowd in rounds],
        "finished": finished,
        "work": asdict(AnswerCost(work["forward_passes"], work["tokens_computed"])),
    }


def _turned(kinds: Sequence[str], number: int) -> Sequence[str]:
    """The kinds, another one first each time."""
    first = number % len(kinds)
    return [*kinds[first:], *kinds[:first]]
