"""The audit finds each fault around rounds, canaries and experiments in made-up logs."""

from collections.abc import Callable

import pytest

from schemas.events import (
    ModelEventKind,
)
from tests.infra.lab.chaos.logs import KIND, World


def _orders_a_round_twice(world: World) -> None:
    world.order_round(1)


def _says_an_event_twice(world: World) -> None:
    world.topics.model_events.append(world.topics.model_events[-1])


def _promotes_what_was_rejected(world: World) -> None:
    world.order_round(2)
    world.say(KIND.REJECTED, 2)
    world.say(KIND.PROMOTED, 2, adapter="a2")


def _tries_again_what_had_not_failed(world: World) -> None:
    world.order_round(1, attempt=2)
    world.say(KIND.REJECTED, 1, attempt=2)


def _ends_a_round_that_nobody_ordered(world: World) -> None:
    world.say(KIND.REJECTED, 7)


def _promotes_an_adapter_by_two_rounds(world: World) -> None:
    world.order_round(2)
    world.say(KIND.PROMOTED, 2, adapter="a1")


def _leaves_a_round_open(world: World) -> None:
    world.order_round(2)
    world.order_round(3)
    world.say(KIND.REJECTED, 3)


def _moves_a_seller_to_another_arm(world: World) -> None:
    for n, arm in ((3, "parent"), (4, "canary")):
        world.ask(f"r{n}")
        world.answer(f"r{n}", f"p{n}", seller_id="s1", arms={"titles": arm})


def _starts_a_canary_twice(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)


def _ends_a_canary_twice(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)


def _ends_a_canary_and_promotes_it(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)
    world.say(KIND.PROMOTED, 2, adapter="a2")


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (_orders_a_round_twice, "doubled", "attempt 1 at round 1 was ordered twice"),
        (_says_an_event_twice, "doubled", "stands in its topic twice"),
        (
            _promotes_what_was_rejected,
            "doubled",
            "attempt 1 at round 2 was closed by rejected, promoted",
        ),
        (
            _tries_again_what_had_not_failed,
            "doubled",
            "round 1 was tried again, and had not failed",
        ),
        (
            _ends_a_round_that_nobody_ordered,
            "strange",
            "attempt 1 at round 7 ended and was not ordered",
        ),
        (_promotes_an_adapter_by_two_rounds, "doubled", "adapter a1 was promoted by two rounds"),
        (_moves_a_seller_to_another_arm, "strange", "s1 is in parent and in canary of titles"),
        (_starts_a_canary_twice, "doubled", "canary:a2 was started twice"),
        (_ends_a_canary_twice, "doubled", "canary:a2 was ended, and did not run"),
        (
            _ends_a_canary_and_promotes_it,
            "doubled",
            "attempt 1 at round 2 was closed by experiment_ended, promoted",
        ),
        (_leaves_a_round_open, "unanswered", "attempt 1 at round 2 was never closed"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
def test_a_fault_around_rounds_is_found_and_named(
    world: World, fault: Callable[[World], None], kind: str, said: str
) -> None:
    fault(world)
    assert not world.audit().clean
    assert any(k == kind and said in what for k, what in world.faults()), world.faults()


def test_a_failed_round_is_tried_again_and_the_last_one_may_be_under_way(world: World) -> None:
    world.order_round(2)
    world.say(KIND.FAILED, 2)
    world.say(KIND.REJECTED, 2)  # the trainer was late, and nobody listens any more
    world.order_round(2, attempt=2)
    assert world.faults() == []
    assert world.audit().closed_again == 1


def test_an_undecided_round_is_judged_again_and_ends_each_time(world: World) -> None:
    world.order_round(2)
    world.say(ModelEventKind.CHALLENGER, 2)
    world.order_round(2, look=2)
    world.say(ModelEventKind.REJECTED, 2, look=2)
    assert world.audit().clean
    world.order_round(2, look=2)
    assert ("doubled", "look 2 at round 2 was ordered twice") in world.faults()


def test_a_canary_answers_from_its_start_and_its_end_closes_the_round(world: World) -> None:
    world.order_round(2)
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.ask("r3")
    world.answer("r3", "p3", adapter_hash="a2", arms={"canary:a2": "canary"})
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_ENDED)
    world.order_round(3)
    world.change_pool(
        requests=world.pool.requests | {"r3"}, predictions={**world.pool.predictions, "r3": "p3"}
    )
    assert world.faults() == []
    assert (world.audit().canaries, world.audit().in_arms) == (1, 1)


def test_sellers_may_decide_about_a_challenger(world: World) -> None:
    world.order_round(2)
    world.say(KIND.CHALLENGER, 2, adapter="a2")
    world.try_on_sellers(2, "a2", KIND.EXPERIMENT_STARTED)
    world.say(KIND.PROMOTED, 2, adapter="a2")
    assert world.faults() == []


def test_a_person_may_promote_an_adapter_as_often_as_they_like(world: World) -> None:
    for adapter in ("a1", "a0", "a1"):
        world.say(KIND.PROMOTED, 0, adapter=adapter)
    assert world.faults() == []
