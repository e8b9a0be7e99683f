"""Who answers a request, by what the control log says. No Kafka."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from schemas.decoding import decode
from schemas.errors import EventError
from schemas.events import ListingRequest, ModelEvent, ModelEventKind, Purpose
from schemas.experiment import CANARY, CANARY_ARM, PARENT_ARM, Arm, Experiment
from schemas.topic_names import MODEL_EVENTS
from streams import metrics
from streams.kafka.control_log import Champion, ControlRecord
from streams.predict.traffic import By, Plan, Traffic, TrafficLog

KIND = ModelEventKind
SELLERS = [f"seller-{n}" for n in range(400)]
NOW_MS = 1_000_000


def request(seller: str | None = "s", **changes: Any) -> ListingRequest:
    fields = {"request_id": "q", "listing_id": "l", "seller_id": seller, "category": "Lamps"}
    return ListingRequest(**fields | changes)


def event(kind: ModelEventKind, adapter: str | None = None, **fields: Any) -> ModelEvent:
    """An event about an adapter whose id is `adapter`, hash `hash-…` and file `/registry/…`."""
    named = {}
    if adapter == "base":
        named = {"adapter_id": "base", "adapter_hash": "base"}
    elif adapter is not None:
        named = {
            "adapter_id": adapter,
            "adapter_hash": f"hash-{adapter}",
            "adapter_uri": f"/registry/{adapter}",
        }
    return ModelEvent(**{"kind": kind, "pool": "default", "round": 1, **named, **fields})


def started(name: str, shares: dict[str, float], ends_ms: int | None = None) -> ModelEvent:
    """An experiment whose arms are called by what answers in them."""
    arms = tuple(Arm(name=answers, answers=answers) for answers in shares)
    running = Experiment(name=name, arms=arms, ends_ms=ends_ms).grown(shares)
    return event(KIND.EXPERIMENT_STARTED, experiment=running)


def canary(adapter: str, share: float = 0.1, pool: str = "default") -> ModelEvent:
    arms = (
        Arm(name=PARENT_ARM, answers="champion"),
        Arm(
            name=CANARY_ARM,
            answers=f"adapter:{adapter}",
            adapter_id=adapter,
            adapter_hash=f"hash-{adapter}",
            adapter_uri=f"/registry/{adapter}",
        ),
    )
    tried = Experiment(name=CANARY + adapter, arms=arms)
    tried = tried.grown({PARENT_ARM: 1 - share, CANARY_ARM: share})
    return event(KIND.EXPERIMENT_STARTED, pool=pool, experiment=tried)


def ended(running: ModelEvent) -> ModelEvent:
    return running.model_copy(update={"kind": KIND.EXPERIMENT_ENDED})


def record(of: ModelEvent, offset: int = 0) -> ControlRecord:
    return ControlRecord(MODEL_EVENTS, offset, of, of.key().encode(), of.to_bytes())


def after(*events: ModelEvent) -> Traffic:
    followed = TrafficLog()
    for offset, one in enumerate(events):
        followed(record(one, offset))
    return followed.now


def compacted(events: Sequence[ModelEvent]) -> list[ModelEvent]:
    """The last of each key, where it stood."""
    last = {one.key(): place for place, one in enumerate(events)}
    return [events[place] for place in sorted(last.values())]


def plans(traffic: Traffic, sellers: Iterable[str] = SELLERS) -> dict[str, Plan]:
    return {seller: traffic.plan(request(seller), NOW_MS) for seller in sellers}


AB = {"champion": 0.3, "base": 0.2, "blind": 0.2, "example": 0.1}


def test_each_seller_is_answered_by_what_the_arm_says_and_the_others_by_the_champion() -> None:
    traffic = after(event(KIND.PROMOTED, "a1"), started("ab", AB))
    champion = Champion("a1", "hash-a1", "/registry/a1")
    for seller, plan in plans(traffic).items():
        arm = traffic.experiment and traffic.experiment.arm_of(seller)
        assert plan.arms == ({"ab": arm.name} if arm else {})
        assert plan.by == (arm.answers if arm else "champion")
        expected = {By.CHAMPION: champion, By.BASE: Champion(), By.EXAMPLE: Champion()}
        assert plan.adapter == expected.get(plan.by)
    assert {plan.by for plan in plans(traffic).values()} == set(map(By, AB))
    assert any(not plan.arms for plan in plans(traffic).values())


def test_a_listing_without_a_seller_is_in_an_arm_of_its_own() -> None:
    traffic = after(started("ab", {"champion": 0.5, "blind": 0.5}))
    found = {
        traffic.plan(request(None, listing_id=f"l{n}"), NOW_MS).by for n in range(50)
    }  # fmt: skip
    assert found == {By.CHAMPION, By.BLIND}


def test_no_seller_changes_arms_by_a_retry_a_restart_compaction_or_larger_shares() -> None:
    small = started("ab", {"champion": 0.1, "blind": 0.1})
    running = small.experiment
    assert running is not None
    large = small.model_copy(update={"experiment": running.grown({"champion": 0.4, "blind": 0.3})})
    log = [event(KIND.PROMOTED, "a1"), small, event(KIND.PROMOTED, "a2"), large]
    before, grown = plans(after(*log[:2])), plans(after(*log))
    in_an_arm = [seller for seller, plan in before.items() if plan.arms]
    assert 40 < len(in_an_arm) < 120
    assert all(before[seller].arms == grown[seller].arms for seller in in_an_arm)
    assert plans(after(*compacted(log))) == grown == plans(after(*log))


def test_orders_to_measure_again_are_in_no_arm() -> None:
    traffic = after(event(KIND.PROMOTED, "a1"), started("ab", {"champion": 0.1, "blind": 0.9}))
    for seller in SELLERS:
        order = request(seller, purpose=Purpose.BACKFILL, adapter_hash="hash-a1")
        assert traffic.plan(order, NOW_MS) == Plan(By.CHAMPION, traffic.champion)


def test_an_experiment_ends_by_its_event_or_at_its_time_by_the_requests_record() -> None:
    running = started("ab", {"champion": 0.1, "blind": 0.9}, ends_ms=NOW_MS)
    assert all(not plan.arms for plan in plans(after(running, ended(running))).values())
    traffic = after(running)
    asked = request(next(s for s in SELLERS if traffic.plan(request(s), 0).by is By.BLIND))
    assert traffic.plan(asked, NOW_MS - 1).by is By.BLIND
    assert traffic.plan(asked, NOW_MS) == Plan(By.CHAMPION, traffic.champion)


def test_the_canary_decides_where_the_experiment_leaves_it_to_the_champion() -> None:
    traffic = after(canary("a2", 0.5), started("ab", {"champion": 0.4, "blind": 0.4}))
    seen = set()
    for plan in plans(traffic).values():
        seen.add((plan.arms.get("ab"), plan.arms.get("canary:a2"), plan.by))
    assert seen == {
        ("blind", None, By.BLIND),
        ("champion", PARENT_ARM, By.CHAMPION),
        ("champion", CANARY_ARM, By.ADAPTER),
        (None, PARENT_ARM, By.CHAMPION),
        (None, CANARY_ARM, By.ADAPTER),
    }
    tried = next(plan for plan in plans(traffic).values() if plan.by is By.ADAPTER)
    assert tried.adapter == Champion("a2", "hash-a2", "/registry/a2")


@pytest.mark.parametrize("kind", [KIND.PROMOTED, KIND.ROLLED_BACK])
def test_a_move_of_the_alias_ends_the_canaries_of_its_pool(kind: ModelEventKind) -> None:
    log = [canary("a2"), event(kind, "a1")]
    assert after(*log).canary is None
    assert after(*compacted([*log, event(kind, "a3")])).canary is None
    assert after(canary("a2", pool="other"), event(kind, "a1")).canary is not None
    assert after(*log, canary("a4")).canary is not None


def test_an_alias_that_moves_leaves_the_experiment_as_it_is() -> None:
    running = started("ab", AB)
    before, later = after(running), after(running, event(KIND.PROMOTED, "a1"))
    assert {s: p.arms for s, p in plans(before).items()} == {
        s: p.arms for s, p in plans(later).items()
    }


def test_an_arms_adapter_is_found_by_its_id_where_the_experiment_names_no_file() -> None:
    running = started("ab", {"champion": 0.1, "adapter:a7": 0.9})
    known = after(event(KIND.PUBLISHED, "a7"), running)
    assert {p.adapter for p in plans(known).values() if p.by is By.ADAPTER} == {
        Champion("a7", "hash-a7", "/registry/a7")
    }
    assert {p.adapter for p in plans(after(running)).values() if p.by is By.ADAPTER} == {None}


def test_an_experiment_of_an_unknown_kind_of_answer_is_refused_loudly_and_the_champion_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = started("ab", {"champion": 0.1, "blind": 0.9})
    newer = good.to_bytes().replace(b'"answers":"blind"', b'"answers":"oracle"')
    with pytest.raises(EventError) as refused:
        decode(ModelEvent, newer)
    before = metrics.REFUSED_EXPERIMENTS._value.get()
    followed = TrafficLog()
    followed(record(good))
    with caplog.at_level(logging.ERROR):
        followed(ControlRecord(MODEL_EVENTS, 1, None, good.key().encode(), newer, refused.value))
    assert "experiment:default:ab cannot be read" in caplog.text
    assert metrics.REFUSED_EXPERIMENTS._value.get() == before + 1
    assert all(plan.by is By.CHAMPION for plan in plans(followed.now).values())


# -------------------------------------------------------------------------------- shadow orders


def shadow(adapter: str) -> ListingRequest:
    return request("s", purpose=Purpose.SHADOW, adapter_hash=f"hash-{adapter}")


def test_a_shadow_order_is_answered_by_the_adapter_on_trial_and_is_in_no_arm() -> None:
    traffic = after(
        event(KIND.PUBLISHED, "a2"), event(KIND.CHALLENGER, "a2"), started("ab", AB), canary("a2")
    )
    assert traffic.superseded(shadow("a2")) is None
    plan = traffic.plan(shadow("a2"), NOW_MS)
    assert plan == Plan(By.ADAPTER, Champion("a2", "hash-a2", "/registry/a2"))


def test_a_shadow_order_for_an_adapter_that_nobody_knows_is_superseded() -> None:
    assert after().superseded(shadow("a2")) is not None
    assert after().superseded(request(purpose=Purpose.SHADOW)) is not None


@pytest.mark.parametrize(
    "over",
    [
        [event(KIND.REJECTED, "a2")],
        [event(KIND.SUPERSEDED, "a2")],
        [canary("a2"), ended(canary("a2"))],
        [event(KIND.PROMOTED, "a2"), event(KIND.ROLLED_BACK, "a1")],
    ],
)
def test_a_shadow_order_whose_trial_is_over_is_superseded(over: list[ModelEvent]) -> None:
    published = event(KIND.PUBLISHED, "a2")
    assert after(published).superseded(shadow("a2")) is None
    assert after(published, *over).superseded(shadow("a2")) is not None
    # Whoever is champion now is not over, whatever was before.
    assert after(published, *over, event(KIND.PROMOTED, "a2")).superseded(shadow("a2")) is None
