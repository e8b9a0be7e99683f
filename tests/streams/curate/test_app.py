"""The curate app as a real process on a real broker: what lands in the pool, and how often."""

import signal

import duckdb
import psutil
import pytest

from schemas.category import CategorySchemas
from schemas.events import (
    DeadLetter,
    ListingRequest,
    ModelEvent,
    ModelEventKind,
    Purpose,
    RetrainRequest,
)
from schemas.topic_names import BACKFILL, DEAD_LETTERS, MODEL_EVENTS, RETRAIN, REVIEWS
from streams.errors import REFUSED_CODE
from streams.kafka.publisher import Publisher
from streams.replay.rebuild import accept_deleted
from streams.settings import StreamsSettings
from tests.streams.support import (
    MakeWorker,
    Worker,
    applied,
    delete_all_records,
    listing,
    read_all,
    recreate_topics,
    send,
)
from tests.streams.world import held_out_id
from tests.waiting import wait_for


def rows(settings: StreamsSettings, worker: Worker) -> dict[str, int]:
    """Stops the worker, then counts what its pool has."""
    assert worker.stop() == 0
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        return {
            table: con.execute(f"SELECT count(*) FROM store.{table}").fetchall()[0][0]
            for table in ("requests", "predictions", "reviews", "samples")
        }


def of_each(count: int) -> dict[str, int]:
    return dict.fromkeys(("requests", "predictions", "reviews", "samples"), count)


def test_a_review_before_its_prediction_before_its_request_makes_one_sample(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    request, prediction, review = listing(schemas, "4711")
    for event in (review, prediction, request):
        send(settings, event)
    wait_for(lambda: applied(curate, 3))
    assert rows(settings, curate) == of_each(1)


def test_a_malformed_event_becomes_a_dead_letter_and_the_pool_goes_on(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    publisher = Publisher(settings)
    for value in (b"{not json", b"[" * 5000, b'{"listing_id": 5}', b"\xff\xfe"):
        publisher.send(REVIEWS, "4711", value)
    publisher.flush(10)
    publisher.close()
    send(settings, *listing(schemas, "4711"))
    wait_for(lambda: applied(curate, 7))
    letters = [
        DeadLetter.model_validate_json(value) for *_, value in read_all(settings, DEAD_LETTERS)
    ]
    reasons = [letter.reason for letter in sorted(letters, key=lambda letter: letter.offset)]
    assert reasons == ["not_json", "too_deep", "invalid", "not_json"]
    assert rows(settings, curate) == of_each(1)


def test_after_sigkill_everything_counts_once(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    first = worker("curate", NO_COMMIT="1").start()
    send(settings, *(event for n in range(30) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: applied(first, 90))
    first.kill()  # all of it is in DuckDB, none of it is committed to Kafka
    second = worker("curate").start()
    send(settings, *listing(schemas, "b"))
    wait_for(lambda: applied(second, 93))
    assert rows(settings, second) == of_each(31)


def test_a_new_pool_under_an_old_group_is_filled_from_the_beginning(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    send(settings, *(event for n in range(5) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: applied(curate, 15))
    assert rows(settings, curate) == of_each(5)
    (settings.pool_dir / "default.duckdb").unlink()
    again = worker("curate")
    again.log.unlink()
    again.start()
    wait_for(lambda: applied(again, 15))
    assert rows(settings, again) == of_each(5)


def test_a_recreated_topic_is_refused_with_a_sentence(
    settings: StreamsSettings, worker: MakeWorker
) -> None:
    assert worker("curate").start().stop() == 0
    recreate_topics(settings)
    again = worker("curate")
    with pytest.raises(AssertionError, match="deleted and made again"):
        again.start()
    assert "Traceback" not in again.log.read_text().split("made again")[-1]
    assert again.code() == REFUSED_CODE  # the supervisor does not start it again


def test_enough_deficits_ask_for_one_round_even_across_a_crash(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"k": 10})
    first = worker("curate", settings).start()
    send(settings, *listing(schemas, held_out_id(0)))
    send(settings, *(event for n in range(12) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 1)
    first.kill()
    second = worker("curate", settings).start()
    send(settings, *(event for n in range(12) for event in listing(schemas, f"b{n}")))
    wait_for(lambda: applied(second, 75))
    assert rows(settings, second) == of_each(25)
    [(_, _, key, value)] = read_all(settings, RETRAIN)
    asked = RetrainRequest.model_validate_json(value)
    assert (key, asked.round, asked.attempt, asked.parent_hash) == (b"default", 1, 1, "base")
    assert {file.role: file.rows for file in asked.files} == {"train": 10, "heldout": 1}


def model_events(settings: StreamsSettings) -> list[ModelEvent]:
    return [ModelEvent.model_validate_json(v) for *_, v in read_all(settings, MODEL_EVENTS)]


def test_a_proposal_is_promoted_once_and_then_gaps_are_measured_again(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"k": 4})
    curate = worker("curate", settings).start()
    send(settings, *listing(schemas, held_out_id(0)))
    send(settings, *(event for n in range(6) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 1)
    said = {
        "pool": "default",
        "round": 1,
        "adapter_id": "default-r1-a1",
        "adapter_hash": "1" * 64,
        "adapter_uri": "/registry/default-r1-a1",
        "parent_id": "base",
        "parent_hash": "base",
    }
    publisher = Publisher(settings)
    for kind in (ModelEventKind.STARTED, ModelEventKind.PUBLISHED, ModelEventKind.PROPOSED):
        event = ModelEvent(kind=kind, **said)
        publisher.send(MODEL_EVENTS, event.key(), event.to_bytes())
    publisher.flush(10)
    publisher.close()
    # The four listings of the round are used up; the other two are ordered under the champion.
    wait_for(lambda: len(read_all(settings, BACKFILL)) == 2)
    orders = [ListingRequest.model_validate_json(v) for *_, v in read_all(settings, BACKFILL)]
    assert {(o.purpose, o.adapter_hash) for o in orders} == {(Purpose.BACKFILL, "1" * 64)}
    curate.kill()
    worker("curate", settings).start().stop()
    kinds = [event.kind for event in model_events(settings)]
    assert kinds.count(ModelEventKind.PROMOTED) == 1
    [promoted] = [e for e in model_events(settings) if e.kind is ModelEventKind.PROMOTED]
    assert (promoted.adapter_hash, promoted.round) == ("1" * 64, 1)
    assert promoted.adapter_uri == "/registry/default-r1-a1"


def test_text_that_databases_dislike_is_kept(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    odd = 'a\x00b \U0001f9a6 \u202e \'; DROP TABLE x; -- {"$ref": 1}'
    request, prediction, review = listing(schemas, odd)
    titled = request.model_copy(update={"title": odd})
    filled = review.model_copy(update={"submitted": {"colour": ["red"], odd: [odd]}})
    answered = prediction.model_copy(update={"input_hash": titled.input_hash()})
    send(settings, titled, answered, filled)
    wait_for(lambda: applied(curate, 3))
    assert read_all(settings, DEAD_LETTERS) == []
    assert rows(settings, curate) == of_each(1)


def test_a_new_pool_begins_where_the_log_does(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    send(settings, *(event for n in range(9) for event in listing(schemas, f"a{n}")))
    delete_all_records(settings)
    curate = worker("curate").start()
    send(settings, *listing(schemas, "b"))
    wait_for(lambda: applied(curate, 30))
    assert rows(settings, curate) == of_each(1)
    assert "deleted" not in curate.log.read_text()


def test_a_pool_behind_retention_is_refused_until_a_person_accepts_the_loss(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    send(settings, *listing(schemas, "a"))
    wait_for(lambda: applied(curate, 3))
    assert curate.stop() == 0
    send(settings, *listing(schemas, "b"))
    delete_all_records(settings)
    with pytest.raises(AssertionError, match="were deleted before the pool"):
        worker("curate").start()
    assert sorted(line.partition("[")[0] for line in accept_deleted(settings, schemas)) == [
        "listing.predictions",
        "listing.requests",
        "listing.reviews",
    ]
    again = worker("curate").start()
    send(settings, *listing(schemas, "c"))
    wait_for(lambda: applied(again, 9))
    assert rows(settings, again) == of_each(2)


def test_a_worker_that_retention_overtakes_while_it_runs_says_so_and_goes_on(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    curate.signal(signal.SIGSTOP)
    send(settings, *(event for n in range(9) for event in listing(schemas, f"a{n}")))
    delete_all_records(settings)
    curate.signal(signal.SIGCONT)
    wait_for(lambda: "were deleted before the pool read them" in curate.log.read_text())
    send(settings, *listing(schemas, "b"))
    wait_for(lambda: applied(curate, 30))
    assert rows(settings, curate)["samples"] >= 1


def test_a_pool_ahead_of_the_log_is_refused(settings: StreamsSettings, worker: MakeWorker) -> None:
    assert worker("curate").start().stop() == 0
    with duckdb.connect(str(settings.pool_dir / "default.duckdb")) as con:
        con.execute("UPDATE store.watermarks SET next_offset = 7 WHERE topic = 'model.events'")
    again = worker("curate")
    with pytest.raises(AssertionError, match="the log ends at 0: it has lost records"):
        again.start()
    assert again.code() == REFUSED_CODE


def test_what_decodes_for_a_worker_ends_with_it_when_it_is_killed(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    children = decoding(curate)
    curate.kill()
    assert psutil.wait_procs(children, timeout=10)[1] == []


def test_a_worker_ends_with_what_decodes_for_it_and_the_next_one_loses_nothing(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    send(settings, *listing(schemas, "a"))
    wait_for(lambda: applied(curate, 3))
    for child in decoding(curate):
        child.kill()
    send(settings, *listing(schemas, "b"))
    assert curate.code() == 1
    again = worker("curate").start()
    wait_for(lambda: applied(again, 6))
    assert rows(settings, again) == of_each(2)


def decoding(curate: Worker) -> list[psutil.Process]:
    """The processes that a worker has beside its own."""
    assert curate.process is not None
    found = psutil.Process(curate.process.pid).children(recursive=True)
    assert found
    return found
