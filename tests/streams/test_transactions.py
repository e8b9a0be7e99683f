"""Producers that write in transactions, and compacted topics: logs whose offsets have holes.

The end of each transaction takes an offset that no consumer sees, and so does each record of an
aborted one; compaction takes records out of the middle of a log.
"""

from itertools import chain

import duckdb
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.category import CategorySchemas
from schemas.decoding import decode
from schemas.events import ListingPrediction
from schemas.topic_names import KINDS, PREDICTIONS, REQUESTS, RETRAIN, REVIEWS
from streams.kafka.committed import Committed
from streams.kafka.log_reader import LogRecord, read_span
from streams.kafka.partitions import Partition
from streams.kafka.topics import admin_client, log_bounds
from streams.replay.rebuild import replay
from streams.settings import StreamsSettings
from tests.streams.support import MakeWorker, Shop, Worker, applied, listing, read_all, send
from tests.streams.world import held_out_id, request
from tests.waiting import wait_for


def ends(settings: StreamsSettings) -> dict[Partition, int]:
    return {place: end for place, (_, end) in log_bounds(settings, KINDS).items()}


def records(settings: StreamsSettings, topic: str) -> list[LogRecord]:
    """All that can be read on a topic."""
    return list(chain.from_iterable(read_span(settings, log_bounds(settings, [topic]))))


def read_to_the_end(settings: StreamsSettings, curate: Worker) -> bool:
    return applied(curate, sum(ends(settings).values()))


def listings(settings: StreamsSettings, curate: Worker) -> list[str]:
    """Stops the worker, then says which listings its pool has a sample of."""
    assert curate.stop() == 0
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        known = con.execute("SELECT topic, partition, next_offset FROM store.watermarks").fetchall()
        found = con.execute("SELECT listing_id FROM store.samples ORDER BY ALL").fetchall()
    at = {(topic, partition): offset for topic, partition, offset in known}
    assert {place: at[place] for place in ends(settings)} == ends(settings)
    return [listing_id for (listing_id,) in found]


def test_the_pool_has_what_was_committed_and_nothing_else_and_a_round_begins(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"k": 4})
    shop, sold = Shop(settings), [held_out_id(0), *(f"a{n}" for n in range(6))]
    for one in sold[:4]:
        shop.abort(*listing(schemas, f"not-{one}"))
        shop.commit(*listing(schemas, one))
    curate = worker("curate", settings).start()
    for one in sold[4:]:
        shop.commit(*listing(schemas, one))
        shop.abort(*listing(schemas, f"not-{one}"))
    send(settings, *listing(schemas, "plain"))
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 1)  # it has caught up, and decides
    wait_for(lambda: read_to_the_end(settings, curate))
    committed = Committed(settings, "listune.curate")
    wait_for(lambda: committed.offsets(ends(settings), 10) == ends(settings))
    committed.close()
    assert listings(settings, curate) == sorted([*sold, "plain"])
    rebuilt = replay(settings, schemas, lambda *_: None)
    assert rebuilt.equal, rebuilt

    # A new pool under the old group is sought back over all the holes.
    (settings.pool_dir / "default.duckdb").unlink()
    again = worker("curate", settings)
    again.log.unlink()
    again.start()
    wait_for(lambda: read_to_the_end(settings, again))
    assert listings(settings, again) == sorted([*sold, "plain"])


def test_a_log_of_aborted_records_alone_is_read_to_its_end(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    shop = Shop(settings)
    shop.abort(*listing(schemas, "a"))
    curate = worker("curate").start()
    wait_for(lambda: read_to_the_end(settings, curate))
    shop.commit(*listing(schemas, "b"))
    wait_for(lambda: read_to_the_end(settings, curate))
    assert listings(settings, curate) == ["b"]


def test_an_open_transaction_is_neither_read_nor_waited_for(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"k": 1})
    shop, slow = Shop(settings), Shop(settings, "slow")
    for one in (held_out_id(0), "a"):
        shop.commit(*listing(schemas, one))
    slow.write(*listing(schemas, "b"))
    curate = worker("curate", settings).start()
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 1)
    slow.end()
    wait_for(lambda: read_to_the_end(settings, curate))
    assert listings(settings, curate) == sorted([held_out_id(0), "a", "b"])


def test_committed_requests_are_answered_and_read_to_the_end_and_aborted_ones_are_not(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    shop, of = Shop(settings), {"category_schema_hash": schemas["Lamps"].hash}
    shop.abort(request("b", **of))
    worker("predict").start()
    shop.commit(request("a", **of), request("c", **of))
    shop.abort(request("d", **of))
    asked = {place: end for place, end in ends(settings).items() if place[0] == REQUESTS}
    committed = Committed(settings, "listune.predict")
    wait_for(lambda: committed.offsets(asked, 10) == asked)
    committed.close()
    answers = [decode(ListingPrediction, one.value) for one in records(settings, PREDICTIONS)]
    assert sorted(one.listing_id for one in answers) == ["a", "c"]


@pytest.fixture
def compacted(settings: StreamsSettings) -> StreamsSettings:
    """Reviews are compacted, soon after they were written."""
    admin = admin_client(settings)
    of_reviews = {
        "cleanup.policy": "compact",
        "segment.ms": "200",
        "min.cleanable.dirty.ratio": "0.0",
        "min.compaction.lag.ms": "0",
    }
    # The cleaner begins anew with these, and two of its usual buffers are more than the broker has.
    of_the_broker = {
        "log.cleaner.backoff.ms": "200",
        "log.cleaner.dedupe.buffer.size": str(4 << 20),
    }
    wanted = [
        (ConfigResource(ResourceType.TOPIC, settings.in_kafka(REVIEWS)), of_reviews),
        (ConfigResource(ResourceType.BROKER, "1"), of_the_broker),
    ]
    for resource, config in wanted:
        for name, value in config.items():
            resource.add_incremental_config(
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            )
    for future in admin.incremental_alter_configs([one for one, _ in wanted]).values():
        future.result(10)
    return settings


def test_a_compacted_topic_is_read_to_its_end_and_its_holes_are_no_gaps(
    compacted: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = compacted
    asked, answer, review = listing(schemas, "a")
    edits = [review.model_copy(update={"review_id": f"v{n}"}) for n in range(20)]
    send(settings, asked, answer, *edits)

    def has_holes() -> bool:
        # What is being written is not compacted: each further record may begin a new segment.
        send(settings, edits[-1])
        return len(records(settings, REVIEWS)) < 10

    wait_for(has_holes, pause_s=0.5)
    curate = worker("curate").start()
    wait_for(lambda: read_to_the_end(settings, curate))
    assert listings(settings, curate) == ["a"]
