"""The predict app as a real process on a real broker: every valid request gets an answer, once.

The engine behind it is a stand-in (see worker_process.py); tests/e2e drives the real one.
"""

import json
import time
from collections import Counter

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.category import CategorySchemas
from schemas.events import (
    DeadLetter,
    ListingPrediction,
    ListingRequest,
    ModelEvent,
    ModelEventKind,
    Purpose,
    Status,
    new_id,
    now_ms,
)
from schemas.experiment import Arm, Experiment
from schemas.topic_names import BACKFILL, DEAD_LETTERS, MODEL_EVENTS, PREDICTIONS, REQUESTS
from streams.kafka.publisher import Publisher
from streams.kafka.topics import admin_client
from streams.predict.app import WINDOW_PER_SLOT
from streams.producer import ListuneClient
from streams.settings import StreamsSettings
from tests.streams.support import MakeWorker, apart, read_all
from tests.waiting import wait_for


def predictions(settings: StreamsSettings) -> list[ListingPrediction]:
    return [
        ListingPrediction.model_validate_json(value)
        for _, _, _, value in read_all(settings, PREDICTIONS)
    ]


def send(settings: StreamsSettings, *records: tuple[str, str, bytes]) -> None:
    publisher = Publisher(settings)
    for topic, key, value in records:
        publisher.send(topic, key, value)
    publisher.flush(10)
    publisher.close()


def request(schemas: CategorySchemas, **fields: object) -> ListingRequest:
    shared = {
        "request_id": new_id(),
        "listing_id": new_id(),
        "category": "Lamps",
        "category_schema_hash": schemas["Lamps"].hash,
        "title": "A lamp",
    }
    return ListingRequest.model_validate(shared | fields)


def answers(
    settings: StreamsSettings, *requests: ListingRequest, topic: str = REQUESTS
) -> list[ListingPrediction]:
    """Sends `requests` and gives their answers, in the order of the requests."""
    send(settings, *((topic, r.listing_id, r.to_bytes()) for r in requests))
    wanted = [r.request_id for r in requests]
    wait_for(lambda: {p.request_id for p in predictions(settings)} >= set(wanted))
    found = {p.request_id: p for p in reversed(predictions(settings))}
    return [found[request_id] for request_id in wanted]


def promoted(adapter: str) -> tuple[str, str, bytes]:
    event = ModelEvent(
        kind=ModelEventKind.PROMOTED,
        pool="default",
        round=1,
        adapter_id=adapter,
        adapter_hash=adapter,
        adapter_uri=f"/registry/{adapter}",
    )
    return MODEL_EVENTS, event.key(), event.to_bytes()


def test_a_seller_gets_values_and_the_answer_lies_in_the_requests_partition(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    worker("predict").start()
    with ListuneClient(settings, schemas) as client:
        answer = client.predict(
            listing_id="4711", category="Lamps", title="A red lamp", timeout_s=20
        )
    assert (answer.status, answer.values) == (Status.OK, {"colour": ["red"]})
    assert answer.requested == ["colour", "size"]
    asked, answered = read_all(settings, REQUESTS), read_all(settings, PREDICTIONS)
    assert [(r[0], r[2]) for r in asked] == [(r[0], r[2]) for r in answered]


def test_what_cannot_be_answered_gets_an_answer_that_says_why(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    worker("predict").start()
    found = answers(
        settings,
        request(schemas, category="Boats"),
        request(schemas, category_schema_hash="0" * 64),
        request(schemas, requested=["colour", "engine"]),
        request(schemas, title=" ", description=""),
        request(schemas, title="refused"),
        request(schemas, deadline_ms=now_ms() - 1),
        request(schemas, requested=["size"]),
        request(schemas, description="long " * 10_000),
    )
    assert [p.status for p in found] == [Status.FAILED] * 5 + [Status.EXPIRED] + [Status.OK] * 2
    reasons = [p.error or "" for p in found[:6]]
    words = ["'Boats' is unknown", "another schema", "'engine'", "neither title", "refused"]
    assert all(word in reason for word, reason in zip(words, reasons, strict=False))


def test_a_malformed_event_becomes_a_dead_letter_and_nothing_stops(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    worker("predict").start()
    good = request(schemas)
    ill_typed = json.dumps(json.loads(good.to_bytes()) | {"title": 5}).encode()
    too_large = request(schemas, description="x" * settings.max_event_bytes).to_bytes()
    bad = [b"{not json", b"", b"[" * 5000, ill_typed, too_large]
    send(settings, *((REQUESTS, good.listing_id, value) for value in bad))
    assert answers(settings, good)[0].status is Status.OK
    letters = [
        DeadLetter.model_validate_json(value) for *_, value in read_all(settings, DEAD_LETTERS)
    ]
    assert [letter.reason for letter in sorted(letters, key=lambda letter: letter.offset)] == [
        "not_json",
        "empty",
        "too_deep",
        "invalid",
        "too_large",
    ]
    assert {letter.topic for letter in letters} == {REQUESTS}


def test_after_sigkill_each_request_has_one_canonical_answer(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    requests = [request(schemas) for _ in range(20)]
    # It dies after the effect and before any commit.
    first = worker("predict", COMMIT_S="3600")
    with pytest.raises(AssertionError, match="in vain"):
        first.start(timeout_s=1)  # readiness is told at the first commit
    canonical = {r.request_id: p for r, p in zip(requests, answers(settings, *requests), strict=1)}
    first.kill()

    worker("predict").start()
    wait_for(lambda: len(predictions(settings)) == 40)
    everything = read_all(settings, PREDICTIONS)
    assert set(Counter(p.request_id for p in predictions(settings)).values()) == {2}
    first_in_log: dict[str, str] = {}
    for *_, value in sorted(everything, key=lambda record: record[:2]):
        prediction = ListingPrediction.model_validate_json(value)
        first_in_log.setdefault(prediction.request_id, prediction.prediction_id)
    assert first_in_log == {key: p.prediction_id for key, p in canonical.items()}


def test_several_workers_share_the_requests_and_take_over_from_one_that_dies(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = apart(settings)
    first, second = (
        worker("predict", settings, WORKER=name, SESSION_S="6").start()
        for name in ("first", "second")
    )
    time.sleep(1)  # the second one's rebalance
    early = answers(settings, *(request(schemas) for _ in range(20)))
    assert {p.status for p in early} == {Status.OK}
    assert len(predictions(settings)) == 20
    first.kill()
    late = answers(settings, *(request(schemas) for _ in range(20)))
    assert {p.status for p in late} == {Status.OK}
    assert second.stop() == 0
    assert len({p.request_id for p in predictions(settings)}) == 40


def test_a_clean_stop_is_quick_even_in_the_middle_of_an_inference_and_loses_nothing(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    slow = request(schemas, title="slow")
    # Far longer than `stop` waits.
    one = worker("predict", SLOW_S="3600").start()
    send(settings, (REQUESTS, slow.listing_id, slow.to_bytes()))
    time.sleep(1)
    assert one.stop() == 0
    worker("predict", SLOW_S="0").start()
    wait_for(lambda: [p.request_id for p in predictions(settings)] == [slow.request_id])


def test_requests_wait_while_the_engine_is_away(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    worker("predict").start()
    waiting, expiring = (
        request(schemas, title="away"),
        request(schemas, title="away", patience_ms=900),
    )
    found = answers(settings, waiting, expiring)
    assert [p.status for p in found] == [Status.OK, Status.EXPIRED]


def test_a_service_whose_clock_is_slow_is_answered_where_the_broker_stamps_the_records(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    stamped = ConfigResource(ResourceType.TOPIC, settings.in_kafka(REQUESTS))
    stamped.add_incremental_config(
        ConfigEntry(
            "message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET
        )
    )
    admin = admin_client(settings)
    for future in admin.incremental_alter_configs([stamped]).values():
        future.result(10)
    slow_ms = now_ms() - 130_000
    new = request(schemas, created_ms=slow_ms, patience_ms=60_000)
    old = request(schemas, created_ms=slow_ms, deadline_ms=slow_ms + 60_000)
    service = Producer({"bootstrap.servers": settings.bootstrap_servers})
    for one in (new, old):
        service.produce(settings.in_kafka(REQUESTS), one.to_bytes(), timestamp=slow_ms)
    service.flush(10)
    worker("predict").start()
    wait_for(lambda: len(predictions(settings)) == 2)
    assert [p.status for p in predictions(settings)] == [Status.OK, Status.OK]


def test_an_unforeseen_fault_ends_the_process_with_code_1(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    one = worker("predict").start()
    bug = request(schemas, title="bug")
    send(settings, (REQUESTS, bug.listing_id, bug.to_bytes()))
    wait_for(one.dead)
    assert one.code() == 1
    assert predictions(settings) == []


def test_the_champion_answers_and_orders_for_an_earlier_one_are_superseded(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    trial = promoted("a3")[2].replace(b'"promoted"', b'"published"')
    send(settings, promoted("a1"), (MODEL_EVENTS, "adapter:a3", trial))
    worker("predict").start()
    # The engine does not know the champion: the worker gives it from the registry and asks again.
    assert answers(settings, request(schemas))[0].adapter_hash == "a1"

    measured = {"purpose": Purpose.BACKFILL}
    orders = [request(schemas, adapter_hash=a, **measured) for a in ("a1", "base")]
    found = answers(settings, *orders, topic=BACKFILL)
    assert [p.status for p in found] == [Status.OK, Status.SUPERSEDED]
    assert {p.purpose for p in found} == {Purpose.BACKFILL}

    # An adapter on trial answers orders for itself, beside whoever is champion.
    shadow = {"purpose": Purpose.SHADOW}
    orders = [request(schemas, adapter_hash=a, **shadow) for a in ("a3", "a4")]
    found = answers(settings, *orders, topic=BACKFILL)
    assert [p.status for p in found] == [Status.OK, Status.SUPERSEDED]
    assert (found[0].adapter_hash, found[0].purpose) == ("a3", Purpose.SHADOW)

    send(settings, promoted("a2"))
    time.sleep(0.5)
    assert answers(settings, request(schemas))[0].adapter_hash == "a2"


def test_a_shadow_order_gives_way_to_sellers_and_holds_up_no_order_behind_it(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    trial = promoted("a3")[2].replace(b'"promoted"', b'"published"')
    send(settings, (MODEL_EVENTS, "adapter:a3", trial))
    # One slot, which an order that took it would keep.
    one_slot = settings.model_copy(update={"in_flight": 1})
    first = worker("predict", one_slot, SLOW_S="3600").start()
    shadow = request(schemas, title="slow", purpose=Purpose.SHADOW, adapter_hash="a3")
    send(settings, (BACKFILL, shadow.listing_id, shadow.to_bytes()))
    measured = request(schemas, purpose=Purpose.BACKFILL, adapter_hash="base")
    assert answers(settings, measured, topic=BACKFILL)[0].status is Status.OK
    for _ in range(3):
        assert answers(settings, request(schemas))[0].status is Status.OK
    assert len(predictions(settings)) == 4

    # It is not lost, either.
    first.kill()
    worker("predict", SLOW_S="0").start()
    wait_for(lambda: shadow.request_id in {p.request_id for p in predictions(settings)})


def test_a_seller_is_answered_while_a_backlog_of_orders_stands_still(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    orders = [request(schemas, title="slow", patience_ms=4 * 3_600_000) for _ in range(5_000)]
    send(settings, *((BACKFILL, r.listing_id, r.to_bytes()) for r in orders))
    # The orders that are begun end never, and so many are read that they fill the agent's buffer.
    worker("predict", SLOW_S="3600").start()
    assert answers(settings, request(schemas))[0].status is Status.OK


def test_behind_a_slow_endpoint_champion_answers_go_on_and_their_reading_too(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    arms = (Arm(name="champion", answers="champion"), Arm(name="llm", answers="endpoint"))
    running = Experiment(name="ab", arms=arms).grown({"champion": 0.5, "llm": 0.5})
    started = ModelEvent(
        kind=ModelEventKind.EXPERIMENT_STARTED, pool="default", round=0, experiment=running
    )
    send(settings, (MODEL_EVENTS, started.key(), started.to_bytes()))
    of_arm: dict[str, list[str]] = {"champion": [], "llm": []}
    for seller in map(str, range(400)):
        arm = running.arm_of(seller)
        assert arm is not None
        of_arm[arm.name].append(seller)
    patient = {"patience_ms": 4 * 3_600_000}
    slow = [request(schemas, seller_id=seller, **patient) for seller in of_arm["llm"][:3]]
    worker("predict", SLOW_S="3600").start()
    send(settings, *((REQUESTS, r.listing_key, r.to_bytes()) for r in slow))
    # More than a worker without an endpoint has under way behind one that is not done.
    assert len(of_arm["champion"]) > WINDOW_PER_SLOT * settings.in_flight
    found = answers(settings, *(request(schemas, seller_id=s) for s in of_arm["champion"]))
    assert {(p.status, p.arms["ab"]) for p in found} == {(Status.OK, "champion")}
    assert len(predictions(settings)) == len(found)


def test_without_triton_requests_wait_until_their_patience_is_over(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    worker("predict-without-triton").start()
    found = answers(settings, request(schemas, patience_ms=1500))
    assert [p.status for p in found] == [Status.EXPIRED]
