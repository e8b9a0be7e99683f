"""Two sellers with one SKU on a real broker: asked, answered, reviewed and forgotten apart."""

import duckdb

from schemas.category import CategorySchemas
from schemas.events import ListingPrediction, ListingReview
from schemas.identity import listing_key
from schemas.topic_names import PREDICTIONS, REQUESTS, REVIEWS
from streams.forgotten import ask_to_forget
from streams.producer import ListuneClient
from streams.settings import StreamsSettings
from tests.streams.support import MakeWorker, applied, read_all
from tests.streams.test_forgotten import answers
from tests.waiting import wait_for


def test_two_sellers_with_one_sku_are_two_listings(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    worker("predict").start()
    curate = worker("curate").start()
    with ListuneClient(settings, schemas) as client:
        for seller, colour in (("anna", "red"), ("ben", "blue")):
            prediction = client.predict(
                listing_id="4711",
                seller_id=seller,
                tags={"locale": "de", "source": "app"},
                category="Lamps",
                title=f"Lamp, {colour}",
            )
            assert (prediction.seller_id, prediction.tags["source"]) == (seller, "app")
            sent = client.review(prediction, {}, {"colour": [colour], "size": ["5 cm"]})
            assert (sent.seller_id, sent.tags) == (seller, prediction.tags)
    wait_for(lambda: applied(curate, 6))

    for topic in (REQUESTS, PREDICTIONS, REVIEWS):
        found = {key.decode(): partition for partition, _, key, _ in read_all(settings, topic)}
        assert found.keys() == {listing_key("4711", "anna"), listing_key("4711", "ben")}
        partitions = {partition for partition, *_ in read_all(settings, topic)}
        assert partitions == set(found.values())
    for kind, topic in ((ListingPrediction, PREDICTIONS), (ListingReview, REVIEWS)):
        events = [kind.model_validate_json(value) for *_, value in read_all(settings, topic)]
        assert {event.seller_id for event in events} == {"anna", "ben"}

    ask_to_forget(settings, "4711", "anna")
    ask_to_forget(settings, "4711")  # nobody's: there is none
    wait_for(lambda: len(answers(settings)) == 2)
    assert curate.stop() == 0
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        samples = con.execute(
            "SELECT listing_id, seller_id, title, tags ->> '$.locale' FROM main.samples"
        ).fetchall()
        submitted = con.execute("SELECT submitted FROM store.reviews").fetchall()
    assert samples == [("4711", "ben", "Lamp, blue", "de")]
    assert submitted == [('{"colour":["blue"],"size":["5 cm"]}',)]
