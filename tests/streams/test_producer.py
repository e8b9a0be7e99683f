"""The SDK: what it refuses, what it confirms, and how it waits for an answer."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.category import CategorySchema, CategorySchemas
from schemas.events import ListingPrediction, ListingRequest, ListingReview, Mode, Status, new_id
from schemas.topic_names import PREDICTIONS, REQUESTS, REVIEWS
from streams.errors import DeliveryError, PredictionTimeout, RequestRefused
from streams.kafka.publisher import Publisher
from streams.producer import ListuneClient
from streams.settings import StreamsSettings
from tests.streams.support import read_all
from tests.waiting import wait_for


def answer(request: ListingRequest, **fields: object) -> ListingPrediction:
    shared = {
        "prediction_id": new_id(),
        "request_id": request.request_id,
        "listing_id": request.listing_id,
        "category": request.category,
        "category_schema_hash": request.category_schema_hash,
        "input_hash": request.input_hash(),
        "status": Status.OK,
    }
    return ListingPrediction.model_validate(shared | fields)


def requests_on(settings: StreamsSettings) -> list[ListingRequest]:
    return [ListingRequest.model_validate_json(value) for *_, value in read_all(settings, REQUESTS)]


def test_a_request_carries_the_schema_hash_and_its_patience(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    with ListuneClient(settings, schemas) as client:
        sent = client.request(
            listing_id="4711", category="Lamps", title="Lamp", mode="constrained", timeout_s=5
        )
    assert requests_on(settings) == [sent]
    assert (sent.category_schema_hash, sent.mode) == (schemas["Lamps"].hash, Mode.CONSTRAINED)
    assert (sent.patience_ms, sent.deadline_ms) == (5_000, None)


def test_pictures_are_named_by_uris_in_order(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    lamp = {"listing_id": "4711", "category": "Lamps"}
    uris = ["https://img.example.com/4711-front.jpg", "s3://shop/4711-back.jpg"]
    inline = "data:image/jpeg;base64," + "A" * settings.max_event_bytes
    with ListuneClient(settings, schemas) as client:
        sent = [client.request(**lamp, images=given) for given in (uris, tuple(uris), uris[0])]
        with pytest.raises(RequestRefused, match="name pictures by URIs"):
            client.request(**lamp, images=[inline])
        with pytest.raises(RequestRefused, match="images"):
            client.request(**lamp, images=[b"\xff\xd8\xff"])
    assert [one.images for one in sent] == [uris, uris, uris[:1]]
    assert [one.pictures for one in sent] == [[], [], []]


def test_former_names_are_sent_as_those_in_force(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    lamps = schemas["Lamps"]
    first, *others = lamps.attributes
    renamed = first.model_copy(update={"name": "Renamed", "aliases": (first.name,)})
    lights = CategorySchema(
        category="Lights", attributes=(renamed, *others), aliases=(lamps.category,)
    )
    with ListuneClient(settings, CategorySchemas([lights])) as client:
        sent = client.request(listing_id="1", category="Lamps", requested=[first.name])
        assert (sent.category, sent.category_schema_hash) == ("Lights", lights.hash)
        client.review(answer(sent), shown={first.name: ["x"]}, submitted={"Renamed": ["x"]})


def test_what_would_fail_is_refused_before_it_is_sent(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    with ListuneClient(settings, schemas) as client:
        with pytest.raises(RequestRefused, match="no category 'Boats'"):
            client.request(listing_id="1", category="Boats")
        with pytest.raises(RequestRefused, match="no attribute 'engine'"):
            client.request(listing_id="1", category="Lamps", requested=["engine"])
        with pytest.raises(RequestRefused, match="title: a text has half of a character"):
            client.request(listing_id="1", category="Lamps", title="\ud83d")
        with pytest.raises(RequestRefused, match=r"\d+ bytes where 65536 are allowed; shorten"):
            client.request(listing_id="1", category="Lamps", description="x" * 70_000)
        with pytest.raises(RequestRefused, match="listing_id"):
            client.request(listing_id="", category="Lamps")
        with pytest.raises(RequestRefused, match="'strict' is not a valid Mode"):
            client.request(listing_id="1", category="Lamps", mode="strict")
        sent = client.request(listing_id="1", category="Lamps")
        with pytest.raises(RequestRefused, match="no attribute 'engine'"):
            client.review(answer(sent), shown={}, submitted={"engine": ["V8"]})
        with pytest.raises(RequestRefused, match="submitted: a text has half of a character"):
            client.review(answer(sent), shown={}, submitted={"colour": ["red\ud83d"]})
    assert requests_on(settings) == [sent]
    assert read_all(settings, REVIEWS) == []


def test_a_service_goes_on_under_changed_schemas_and_reviews_what_was_asked_before(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    [colour, _] = schemas["Lamps"].attributes
    smaller = CategorySchemas([CategorySchema(category="Lamps", attributes=(colour,))])
    with ListuneClient(settings, schemas) as client:
        before = client.request(listing_id="1", category="Lamps", title="Lamp")
        client.use_schemas(smaller)
        after = client.request(listing_id="2", category="Lamps", title="Lamp")
        values = {"size": ["5 cm"]}
        client.review(answer(before), shown=values, submitted=values)
        with pytest.raises(RequestRefused, match="no attribute 'size'"):
            client.review(answer(after), shown={}, submitted=values)
    assert after.category_schema_hash == smaller["Lamps"].hash != before.category_schema_hash


def test_a_review_names_the_prediction_and_lies_beside_its_request(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    with ListuneClient(settings, schemas) as client:
        prediction = answer(client.request(listing_id="4711", category="Lamps", title="Lamp"))
        client.review(prediction, shown={"colour": ["red"]}, submitted={"colour": ["blue"]})
    [(partition, _, key, value)] = read_all(settings, REVIEWS)
    review = ListingReview.model_validate_json(value)
    assert (review.prediction_id, review.request_id) == (
        prediction.prediction_id,
        prediction.request_id,
    )
    [(request_partition, _, request_key, _)] = read_all(settings, REQUESTS)
    assert (partition, key) == (request_partition, request_key)


def test_who_asks_is_told_what_the_broker_has(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    told: list[ListingRequest | ListingReview] = []
    larger = settings.model_copy(update={"max_event_bytes": 1 << 20})
    client = ListuneClient(larger, schemas, on_stored=told.append)
    sent = client.request(listing_id="4711", category="Lamps", title="Lamp")
    review = client.review(answer(sent), shown={}, submitted={})
    client.flush(20)
    client.request(listing_id="4712", category="Lamps", description=_noise(400_000))
    with pytest.raises(DeliveryError):
        client.flush(20)
    client.close()
    assert len(told) == 2
    assert sent in told
    assert review in told


def test_several_callers_wait_each_for_the_first_answer_to_its_own_request(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    stop = threading.Event()

    def serve() -> None:
        """Answers every request twice, the last one first."""
        publisher = Publisher(settings)
        answered: set[str] = set()
        while not stop.is_set():
            for request in reversed(requests_on(settings)):
                if request.request_id not in answered:
                    answered.add(request.request_id)
                    for text in ("first", "second"):
                        reply = answer(request, values={"colour": [request.title, text]})
                        publisher.send(PREDICTIONS, request.listing_id, reply.to_bytes())
            time.sleep(0.05)
        publisher.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        with ListuneClient(settings, schemas) as client, ThreadPoolExecutor(8) as callers:
            found = callers.map(
                lambda n: client.predict(
                    listing_id=f"{n}", category="Lamps", title=f"Lamp {n}", timeout_s=30
                ),
                range(8),
            )
            values = [prediction.values["colour"] for prediction in found]
    finally:
        stop.set()
        server.join()
    assert values == [[f"Lamp {n}", "first"] for n in range(8)]


def test_no_answer_in_time_is_one_sentence(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    within = r"no prediction for listing 1 within 0\.5 s"
    with ListuneClient(settings, schemas) as client, pytest.raises(PredictionTimeout, match=within):
        client.predict(listing_id="1", category="Lamps", title="Lamp", timeout_s=0.5)


def test_flush_says_what_was_not_stored(schemas: CategorySchemas) -> None:
    client = ListuneClient(StreamsSettings(bootstrap_servers="127.0.0.1:1"), schemas)
    client.request(listing_id="1", category="Lamps")
    with pytest.raises(DeliveryError, match=r"1 records are not confirmed after 0\.2 s"):
        client.flush(0.2)
    client.close()


def test_a_record_that_the_broker_refuses_makes_flush_fail(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    larger = settings.model_copy(update={"max_event_bytes": 1 << 20})
    client = ListuneClient(larger, schemas)
    client.request(listing_id="1", category="Lamps", description=_noise(400_000))
    with pytest.raises(DeliveryError, match=r"a record for listing\.requests was not stored"):
        client.flush(20)
    client.request(listing_id="2", category="Lamps")
    client.flush(20)
    client.close()
    wait_for(lambda: [r.listing_id for r in requests_on(settings)] == ["2"])


def _noise(length: int) -> str:
    """Text that does not compress."""
    import random

    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=length))
