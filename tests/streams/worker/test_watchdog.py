"""A worker that says it is well and does nothing is ended; one that is slow, or waits, is not."""

import time
from urllib.request import urlopen

from infra.health import look
from infra.local.ports import free_port
from schemas.category import CategorySchemas
from schemas.events import Purpose
from schemas.topic_names import BACKFILL, REQUESTS, REVIEWS
from streams.settings import StreamsSettings
from streams.worker.watchdog import Stillness
from tests.streams.predict.test_app import answers, predictions, request, send
from tests.streams.support import MakeWorker, applied, listing
from tests.streams.support import send as send_events
from tests.waiting import wait_for

HERE, THERE = (REQUESTS, 0), (REVIEWS, 1)


def test_a_slow_worker_that_moves_is_alive() -> None:
    stillness = Stillness()
    for offset in range(10):
        assert stillness.look({HERE: offset // 2}, 5.0)[HERE] <= 5.0


def test_each_partition_is_judged_for_itself() -> None:
    stillness = Stillness()
    for offset in range(4):
        still = stillness.look({HERE: offset, THERE: 7}, 5.0)
    assert still == {HERE: 0.0, THERE: 15.0}


def test_time_in_which_a_worker_had_an_excuse_or_nothing_to_do_does_not_count() -> None:
    stillness = Stillness()
    for due in ({HERE: 7}, {HERE: 7}, {}, {HERE: 7}):
        still = stillness.look(due, 5.0)
    assert still == {HERE: 0.0}


def test_a_curate_worker_whose_offsets_stand_still_ends_itself(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    changed = settings.model_copy(update={"watchdog_s": 1.0, "curate_health_port": free_port()})
    hanging = worker("curate", changed, HANG="1").start()
    send_events(settings, *listing(schemas, "4711"))
    seen = look(changed.curate_health_port)
    assert seen is not None
    assert seen.live  # its event loop turns: it says that it is well
    wait_for(hanging.dead)
    assert hanging.code() == 1
    assert "this worker hangs and ends, to be started anew; listing." in hanging.log.read_text()
    # The next one does what was left undone.
    anew = worker("curate").start()
    wait_for(lambda: applied(anew, 3))


def test_a_predict_worker_whose_event_loop_hangs_ends_itself(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    changed = settings.model_copy(update={"watchdog_s": 2.0})
    hanging = worker("predict", changed, HANG="1").start()
    asked = request(schemas)
    send(settings, (REQUESTS, asked.listing_id, asked.to_bytes()))
    wait_for(hanging.dead)
    assert hanging.code() == 1
    # Which is noticed first, the loop or the request that nobody takes, is a matter of moments.
    assert "this worker hangs and ends, to be started anew" in hanging.log.read_text()


def test_a_predict_worker_that_waits_for_triton_is_left_alone_and_shows_its_lag(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    port = free_port()
    changed = settings.model_copy(update={"watchdog_s": 2.0, "predict_health_port": port})
    waiting = worker("predict-without-triton", changed).start()
    asked = [request(schemas) for _ in range(10)]
    send(settings, *((REQUESTS, one.listing_id, one.to_bytes()) for one in asked))
    time.sleep(5)
    assert not waiting.dead()
    seen = look(port)
    assert seen is not None
    assert (seen.live, seen.ready, seen.lag) == (True, True, 10)
    assert predictions(settings) == []


def test_a_worker_counts_and_measures_what_it_does(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    port, curate_port = free_port(), free_port()
    ports = {"predict_health_port": port, "curate_health_port": curate_port}
    changed = settings.model_copy(update=ports)
    worker("curate", changed).start()
    send_events(settings, *listing(schemas, "4711"))
    curate = {
        'listune_events_total{topic="listing.reviews"} 1.0',
        "listune_pool_samples 1.0",
        "listune_pool_fresh 1.0",
        'listune_round_state{listune_round_state="none"} 1.0',
        'listune_gap_bucket{le="0.9"} 0.0',
        'listune_gap_bucket{le="1.0"} 1.0',
    }
    wait_for(lambda: curate <= scraped(curate_port))

    worker("predict", changed).start()
    answers(settings, request(schemas), request(schemas, category="Boats"))
    send(settings, (REQUESTS, "bad", b"{not json"))
    order = request(schemas, purpose=Purpose.BACKFILL, adapter_hash="base")
    answers(settings, order, topic=BACKFILL)
    predict = {
        'listune_events_total{topic="listing.requests"} 4.0',
        'listune_answers_total{purpose="live",status="ok"} 2.0',
        'listune_answers_total{purpose="live",status="failed"} 1.0',
        'listune_dead_letters_total{reason="not_json",topic="listing.requests"} 1.0',
        'listune_stage_seconds_count{stage="answer"} 3.0',
        'listune_stage_seconds_count{stage="measure_again"} 1.0',
        'listune_champion_info{adapter_hash="base",adapter_id="base"} 1.0',
    }
    wait_for(lambda: predict <= scraped(port))


def scraped(port: int) -> set[str]:
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return set(answer.read().decode().splitlines())
