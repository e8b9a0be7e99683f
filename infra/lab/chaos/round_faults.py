"""Faults around rounds, canaries and experiments: ordered, closed and made larger once."""

from collections.abc import Iterator

from infra.lab.chaos.evidence import Topics
from infra.lab.chaos.faults import Fault, repeated
from schemas.events import TERMINAL_KINDS, ModelEvent, ModelEventKind, RetrainRequest
from schemas.experiment import Experiment

_MOVES = (ModelEventKind.PROMOTED, ModelEventKind.ROLLED_BACK)
_STARTED, _ENDED = ModelEventKind.EXPERIMENT_STARTED, ModelEventKind.EXPERIMENT_ENDED
_BY_CONDUCTOR = (ModelEventKind.PROMOTED, ModelEventKind.SUPERSEDED, _ENDED)
Place = tuple[int, int, int]
"""A round's number, an attempt at it, and a look at what came out of it."""


def round_faults(topics: Topics) -> Iterator[Fault]:
    """All of them."""
    yield from _rounds(topics)
    yield from _arms(topics)
    yield from _experiments(topics)


def _rounds(topics: Topics) -> Iterator[Fault]:
    """Every attempt at a round, and every look, was ordered once, for a reason, and closed once."""
    ordered = [place_of(e.event) for e in topics.rounds]
    ends: dict[Place, list[ModelEvent]] = {}
    for logged in topics.model_events:
        if closes(logged.event):
            ends.setdefault(place_of(logged.event), []).append(logged.event)
    for place in repeated(ordered):
        yield Fault("doubled", f"{_said(place)} was ordered twice")
    for event_id in repeated(e.event.event_id for e in topics.model_events):
        yield Fault("doubled", f"model event {event_id} stands in its topic twice")
    tried = {place_of(e.event) for e in topics.model_events if starts_canary(e.event)}
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
    for adapter_hash in repeated(promoted):
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


def starts_canary(event: ModelEvent) -> bool:
    """Whether it is the first, or a further, start of a canary."""
    started = event.kind is _STARTED and event.experiment is not None
    return started and event.experiment is not None and event.experiment.is_canary


def closes(event: ModelEvent) -> bool:
    """Whether it ends a round, as the end of a canary does; a person's wish moves the alias outside
    of any, and the experiment of the settings belongs to none."""
    return (event.kind in TERMINAL_KINDS or event.kind is _ENDED) and event.round > 0


def place_of(event: RetrainRequest | ModelEvent) -> Place:
    """Which attempt or look it is about."""
    return event.round, event.attempt, event.look


def _said(place: Place) -> str:
    round_, attempt, look = place
    return f"look {look} at round {round_}" if look > 1 else f"attempt {attempt} at round {round_}"
