"""A producer as librdkafka makes it, with its own partitioner and a wrong clock, beside ours."""

import duckdb
from confluent_kafka import Producer

from schemas.category import CategorySchemas
from schemas.events import now_ms
from schemas.topic_names import KINDS
from streams.settings import StreamsSettings
from tests.streams.support import MakeWorker, applied, listing, send
from tests.waiting import wait_for

LISTINGS = [f"l{n}" for n in range(12)]
DAY_MS = 86_400_000


def test_its_records_count_as_any_other_s_and_each_topic_is_told_of_once(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    """What was sent last is last, though other partitions and other clocks say otherwise."""
    curate = worker("curate").start()
    topic_of = {kind: settings.in_kafka(topic) for topic, kind in KINDS.items()}
    foreign = Producer({"bootstrap.servers": settings.bootstrap_servers})
    for triple in (listing(schemas, listing_id) for listing_id in LISTINGS):
        for event in triple:
            foreign.produce(
                topic_of[type(event)],
                event.to_bytes(),
                event.listing_id,
                timestamp=now_ms() + DAY_MS,
            )
    assert foreign.flush(10) == 0
    wait_for(lambda: applied(curate, 3 * len(LISTINGS)))
    last = [
        listing(schemas, listing_id)[2].model_copy(
            update={"review_id": f"last-{listing_id}", "submitted": {"colour": ["blue"]}}
        )
        for listing_id in LISTINGS
    ]
    send(settings, *last)
    wait_for(lambda: applied(curate, 4 * len(LISTINGS)))
    log = curate.log.read_text()
    assert curate.stop() == 0
    for topic in KINDS:
        [told] = [line for line in log.splitlines() if f"{topic}[" in line and "murmur2" in line]
        assert told.endswith("set partitioner=murmur2_random there")
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        found = con.execute("SELECT review_id, c_catalog FROM store.samples").fetchall()
    assert sorted(found) == sorted((review.review_id, 0.5) for review in last)
