"""A slow or absent engine holds the reading back; nothing is dropped, and clocks run on."""

from collections import Counter

from infra.local.ports import free_port
from schemas.category import CategorySchemas
from schemas.events import Status
from schemas.topic_names import REQUESTS
from streams.settings import StreamsSettings
from tests.streams.predict.test_app import predictions, request, send
from tests.streams.support import MakeWorker
from tests.streams.worker.test_watchdog import scraped
from tests.waiting import wait_for

IN_FLIGHT = 2


def taken_and_answered(port: int) -> tuple[float, float]:
    """Requests taken so far and, a moment later, requests that the engine has answered."""
    lines = [line.rsplit(" ", 1) for line in scraped(port)]

    def total(metric: str) -> float:
        return sum(float(value) for name, value in lines if name.startswith(metric))

    # An answer that is not yet stored holds nobody back.
    answered = total('listune_stage_seconds_count{stage="answer"}')
    return total("listune_events_total"), answered


def test_a_slow_engine_holds_the_reading_back_and_then_all_are_answered_once(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    port = free_port()
    changed = settings.model_copy(update={"in_flight": IN_FLIGHT, "predict_health_port": port})
    worker("predict", changed, SLOW_S="0.5").start()
    slow = [request(schemas, title="slow") for _ in range(8)]
    behind = request(schemas, title="slow", listing_id="behind", patience_ms=400)
    asked = [*slow, behind]
    send(settings, *((REQUESTS, one.listing_id, one.to_bytes()) for one in asked))
    most = answered = 0.0
    while answered < len(asked):
        taken, answered = taken_and_answered(port)
        most = max(most, taken - answered)
    assert 0 < most <= IN_FLIGHT
    wait_for(lambda: len(predictions(settings)) == len(asked))
    found = {one.request_id: one.status for one in predictions(settings)}
    assert set(Counter(one.request_id for one in predictions(settings)).values()) == {1}
    assert [found[one.request_id] for one in slow] == [Status.OK] * len(slow)


def test_behind_a_slow_engine_the_clock_of_a_live_request_runs_out(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    changed = settings.model_copy(update={"in_flight": 1})
    worker("predict", changed, SLOW_S="1").start()
    slow = request(schemas, title="slow", listing_id="same")
    behind = request(schemas, listing_id="same", patience_ms=500)
    send(settings, *((REQUESTS, one.listing_id, one.to_bytes()) for one in (slow, behind)))
    wait_for(lambda: len(predictions(settings)) == 2)
    found = {one.request_id: one.status for one in predictions(settings)}
    assert found == {slow.request_id: Status.OK, behind.request_id: Status.EXPIRED}


def test_an_absent_engine_pauses_the_reading_until_it_is_back_and_nothing_is_dropped(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    port = free_port()
    changed = settings.model_copy(update={"in_flight": IN_FLIGHT, "predict_health_port": port})
    one = worker("predict", changed, AWAY_S="5").start()
    asked = [request(schemas, title="away") for _ in range(30)]
    send(settings, *((REQUESTS, each.listing_id, each.to_bytes()) for each in asked))
    wait_for(lambda: taken_and_answered(port) == (IN_FLIGHT, 0))
    assert predictions(settings) == []
    assert taken_and_answered(port) == (IN_FLIGHT, 0)
    wait_for(lambda: len(predictions(settings)) == len(asked))
    assert not one.dead()
    found = Counter((each.request_id, each.status) for each in predictions(settings))
    assert found == Counter((each.request_id, Status.OK) for each in asked)
