"""An adapter that is tried on sellers, and sellers who review what they are shown."""

from itertools import count
from typing import Any

from schemas.events import BASE_ADAPTER, ModelEventKind
from schemas.experiment import CANARY_ARM, PARENT_ARM
from streams.pool.deciding.canary import canary_name
from tests.streams.world import SUBMITTED, World, kinds, prediction, request, review

K = ModelEventKind
NAME = "default-r1-a1"
CANARY = canary_name(NAME)
QUICK = {"canary": {"share": 0.1, "most_sellers": 60, "watch_sellers": 0}, "max_rounds": 1}


def proposed(world: World) -> str:
    """Round 1 is proposed; the hash of its adapter."""
    world.sell_many(4, "first")
    world.step()
    world.now_ms += 1_000
    return world.train(K.PROPOSED)


def tried(world: World) -> str:
    """Round 1 is proposed, and its canary has begun; the hash of its adapter."""
    adapter = proposed(world)
    assert kinds(world.step()) == [K.EXPERIMENT_STARTED]
    world.now_ms += 1_000
    return adapter


_numbers = count()


def seller(arm: str | None, accepted: int, adapter: str = BASE_ADAPTER) -> list[Any]:
    """A new seller of that arm is shown four values by `adapter`, accepts so many and changes the
    others."""
    name = f"seller-{next(_numbers)}"
    asked = request(name, seller_id=name)
    arms = {} if arm is None else {CANARY: arm}
    wrong = {attribute: ["other"] for attribute in list(SUBMITTED)[accepted:]}
    names = {"adapter_hash": adapter, "adapter_id": adapter[:8], "arms": arms}
    answer = prediction(asked, filled=accepted, **names)
    return [asked, answer, review(answer, shown=answer.values | wrong)]


def by_turns(world: World, adapter: str, number: int, accepted: int, parent: int = 2) -> None:
    """So many sellers of the canary, each after two of its parent's, and a second passes."""
    events: list[Any] = []
    for _ in range(number):
        events += seller(PARENT_ARM, parent) + seller(PARENT_ARM, parent)
        events += seller(CANARY_ARM, accepted, adapter)
    world.feed(*events)
    world.now_ms += 1_000
