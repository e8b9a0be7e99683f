"""The curate app as a real process on a real broker: what lands in the pool, and how often."""

import re
from collections.abc import Callable

import duckdb
import pytest

from schemas.category import CategorySchemas
from schemas.events import (
    DeadLetter,
    Event,
    ListingPrediction,
    ListingRequest,
    ListingReview,
    RetrainRequest,
    Status,
)
from streams.publisher import Publisher
from streams.settings import StreamsSettings
from streams.topics import DEAD_LETTERS, PREDICTIONS, REQUESTS, RETRAIN, REVIEWS
from tests.streams.support import Worker, read_all, recreate_topics, wait_for

MakeWorker = Callable[..., Worker]
Triple = tuple[ListingRequest, ListingPrediction, ListingReview]


def listing(schemas: CategorySchemas, listing_id: str) -> Triple:
    """A listing whose seller filled two attributes where the model filled none."""
    shared = {
        "listing_id": listing_id,
        "category": "Lamps",
        "category_schema_hash": schemas["Lamps"].hash,
        "request_id": f"request-{listing_id}",
    }
    prediction_id = f"prediction-{listing_id}"
    request = ListingRequest.model_validate(shared | {"title": f"Lamp {listing_id}"})
    prediction = ListingPrediction.model_validate(
        shared
        | {
            "prediction_id": prediction_id,
            "input_hash": request.input_hash(),
            "status": Status.OK,
            "requested": ["colour", "size"],
        }
    )
    review = ListingReview.model_validate(
        shared
        | {
            "review_id": f"review-{listing_id}",
            "prediction_id": prediction_id,
            "submitted": {"colour": ["red"], "size": ["5 cm"]},
        }
    )
    return request, prediction, review


TOPIC_OF = {ListingRequest: REQUESTS, ListingPrediction: PREDICTIONS, ListingReview: REVIEWS}


def send(settings: StreamsSettings, *events: Event) -> None:
    publisher = Publisher(settings)
    for event in events:
        publisher.send(TOPIC_OF[type(event)], event.listing_id, event.to_bytes())
    publisher.flush(10)
    publisher.close()


def applied(worker: Worker, records: int) -> bool:
    """Whether the pool has exactly this many records, by what the worker logged last."""
    logged = re.findall(r"applied (\d+)\.", worker.log.read_text())
    return bool(logged) and int(logged[-1]) == records


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


def test_enough_deficits_ask_for_one_round_even_across_a_crash(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"k": 8, "v": 2})
    first = worker("curate", settings).start()
    send(settings, *(event for n in range(12) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 1)
    first.kill()
    second = worker("curate", settings).start()
    send(settings, *(event for n in range(12) for event in listing(schemas, f"b{n}")))
    wait_for(lambda: applied(second, 72))
    assert rows(settings, second) == of_each(24)
    [(_, _, key, value)] = read_all(settings, RETRAIN)
    asked = RetrainRequest.model_validate_json(value)
    assert (key, asked.round, asked.attempt, asked.parent_hash) == (b"default", 1, 1, "base")
    assert {file.role: file.rows for file in asked.files} == {"train": 8, "validation": 2}
