"""`listune replay` on a real broker: the rebuilt pool equals the live one, whatever happened."""

import signal
import subprocess
import sys
from typing import Any

import duckdb
import pytest
from confluent_kafka import Producer

from schemas.category import CategorySchemas
from schemas.decoding import decode
from schemas.events import ListingRequest, ModelEvent, ModelEventKind, RetrainRequest
from schemas.topic_names import BACKFILL, MODEL_EVENTS, RETRAIN, REVIEWS
from streams.kafka.publisher import Publisher
from streams.pool.errors import PoolError
from streams.replay.rebuild import Replayed, replay, replay_and_swap
from streams.settings import StreamsSettings
from tests.streams.support import (
    ROOT,
    MakeWorker,
    Triple,
    Worker,
    applied,
    delete_all_records,
    listing,
    read_all,
    send,
)
from tests.streams.world import held_out_id
from tests.waiting import wait_for

K = ModelEventKind
KILLED_HALFWAY = """
import os, signal, sys
from schemas.sources.json_schema import read_schemas
from streams.replay.rebuild import replay
from streams.settings import StreamsSettings
settings = StreamsSettings.model_validate_json(sys.argv[1])
def tell(done, total):
    if done >= total / 3:
        os.kill(os.getpid(), signal.SIGKILL)
replay(settings, read_schemas(settings.schema_path), tell)
"""


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def say(settings: StreamsSettings, kind: ModelEventKind, **changes: Any) -> None:
    """The trainer, or a person, says something."""
    event = ModelEvent(**{"kind": kind, "pool": settings.pool, "round": 0, **changes})
    publisher = Publisher(settings)
    publisher.send(MODEL_EVENTS, event.key(), event.to_bytes()).result(10)
    publisher.close()


def said(settings: StreamsSettings, kind: ModelEventKind) -> int:
    events = [decode(ModelEvent, value) for *_, value in read_all(settings, MODEL_EVENTS)]
    return sum(event.kind is kind for event in events)


def train(settings: StreamsSettings, round_: int, *kinds: ModelEventKind) -> None:
    requests = [decode(RetrainRequest, value) for *_, value in read_all(settings, RETRAIN)]
    [asked] = [request for request in requests if request.round == round_]
    for kind in kinds:
        say(
            settings,
            kind,
            round=round_,
            adapter_id=f"default-r{round_}-a1",
            adapter_hash=str(round_) * 64,
            adapter_uri=f"registry/{round_}",
            parent_id=asked.parent_id,
            parent_hash=asked.parent_hash,
        )


def answered_by(triple: Triple, adapter_hash: str) -> Triple:
    request, prediction, review = triple
    changed = {"adapter_hash": adapter_hash, "adapter_id": "default-r1-a1"}
    return request, prediction.model_copy(update=changed), review


def a_run(settings: StreamsSettings, schemas: CategorySchemas, curate: Worker) -> None:
    """A promoted round, a rollback and a superseded round; records doubled, late and malformed."""
    ids = [held_out_id(0), *(f"a{n}" for n in range(6))]
    first = [event for name in ids for event in listing(schemas, name)]
    send(settings, *first)
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 1)
    train(settings, 1, K.STARTED, K.HEARTBEAT, K.PUBLISHED, K.PROPOSED)
    wait_for(lambda: len(read_all(settings, BACKFILL)) == 2)  # it was promoted, and measures again
    for n in range(4):
        request, prediction, review = answered_by(listing(schemas, f"b{n}"), "1" * 64)
        send(settings, review, prediction, request)
    wait_for(lambda: len(read_all(settings, RETRAIN)) == 2)
    train(settings, 2, K.STARTED, K.PUBLISHED)
    say(settings, K.ROLLBACK_REQUESTED)
    wait_for(lambda: said(settings, K.ROLLED_BACK) == 1)
    train(settings, 2, K.PROPOSED)
    wait_for(lambda: said(settings, K.SUPERSEDED) == 1)
    publisher = Publisher(settings)
    publisher.send(REVIEWS, "a0", b"{not json").result(10)
    publisher.close()
    again = listing(schemas, "a1")[2]
    send(settings, *first, again.model_copy(update={"review_id": "again", "submitted": {}}))
    wait_for(lambda: applied(curate, 21 + 12 + 21 + 2))


def rows(done: Replayed) -> dict[str, int]:
    return {table: print_.rows for table, print_ in done.rebuilt.items()}


def test_the_rebuilt_pool_equals_the_live_one_and_takes_its_place(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"k": 4})
    curate = worker("curate", settings).start()
    a_run(settings, schemas, curate)
    say(settings, K.PROMOTION_REQUESTED, adapter_id="unheard-of")
    wait_for(lambda: "refused" in curate.log.read_text())

    beside_the_worker = replay(settings, schemas, quiet)
    assert beside_the_worker.equal, beside_the_worker
    assert rows(beside_the_worker) == {
        "requests": 11,
        "predictions": 11,
        "reviews": 12,
        "samples": 11,
        "rounds": 2,
    }
    with pytest.raises(PoolError, match="stop the curate worker"):
        replay_and_swap(settings, schemas, quiet)
    curate.kill()

    swapped = replay_and_swap(settings, schemas, quiet)
    assert swapped.equal
    assert swapped.path == settings.pool_dir / "default.duckdb"
    with duckdb.connect(str(swapped.path), read_only=True) as con:
        assert con.execute("SELECT state FROM store.rounds ORDER BY round").fetchall() == [
            ("promoted",),
            ("superseded",),
        ]
        assert con.execute("SELECT champion FROM status").fetchall() == [("base",)]
        assert con.execute("FROM store.wishes").fetchall() == []  # it was answered: refused
    worker("curate", settings).start().stop()
    assert len(read_all(settings, RETRAIN)) == 2  # nothing is decided a second time
    assert said(settings, K.PROMOTED) == said(settings, K.ROLLED_BACK) == 1
    orders = {decode(ListingRequest, v).request_id for *_, v in read_all(settings, BACKFILL)}
    assert len(orders) == 2 + 4  # ordered anew under the same identities
    assert replay(settings, schemas, quiet).equal


def test_a_replay_killed_halfway_harms_nothing_and_the_next_one_is_whole(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    send(settings, *(event for n in range(700) for event in listing(schemas, f"a{n}")))
    replay_and_swap(settings, schemas, quiet)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_HALFWAY, settings.model_dump_json()], cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert (settings.pool_dir / "replay" / "default.duckdb").exists()
    done = replay(settings, schemas, quiet)
    assert done.equal
    assert rows(done)["samples"] == 700


def test_two_replays_at_once_and_a_worker_that_came_meanwhile_are_told_apart(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    live = settings.pool_dir / "default.duckdb"

    def meanwhile(done: int, total: int) -> None:
        with pytest.raises(PoolError, match="another replay of the pool"):
            replay(settings, schemas, quiet)
        live.write_text("a worker's")

    with pytest.raises(PoolError, match="a curate worker has made"):
        replay_and_swap(settings, schemas, meanwhile)
    assert live.read_text() == "a worker's"


def test_without_a_live_pool_everything_is_rebuilt_and_put_in_place(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    send(settings, *(event for n in range(9) for event in listing(schemas, f"a{n}")))
    done = replay_and_swap(settings, schemas, quiet)
    assert (done.live, done.why_not_compared) == (None, "there is no live pool")
    assert rows(done)["samples"] == 9
    again = replay(settings, schemas, quiet)
    assert again.equal


def test_what_retention_deleted_is_left_out_of_the_comparison(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    curate = worker("curate").start()
    send(settings, *(event for n in range(5) for event in listing(schemas, f"a{n}")))
    wait_for(lambda: applied(curate, 15))
    delete_all_records(settings)
    late = listing(schemas, "a0")[2].model_copy(update={"review_id": "late"})
    send(settings, late, *(event for n in range(3) for event in listing(schemas, f"b{n}")))
    wait_for(lambda: applied(curate, 25))
    done = replay(settings, schemas, quiet)
    assert done.equal, done
    assert done.outside == 5
    assert rows(done)["samples"] == rows(done)["reviews"] == 3


def test_rounds_of_which_compaction_may_have_taken_something_are_left_out(
    settings: StreamsSettings, schemas: CategorySchemas
) -> None:
    publisher = Publisher(settings)
    # The marker of a transaction takes an offset without a record, as compaction leaves it.
    transactions = Producer(
        {"bootstrap.servers": settings.bootstrap_servers, "transactional.id": "compaction"}
    )
    transactions.init_transactions(10)
    for round_ in (1, 2):
        asked = RetrainRequest(
            pool="default", round=round_, parent_id="base", parent_hash="base",
            selection="gap", k=1, min_gap=0, files=[],
        )  # fmt: skip
        publisher.send(RETRAIN, asked.pool, asked.to_bytes()).result(10)
        for kind in (K.STARTED, K.HEARTBEAT) if round_ == 1 else ():
            event = ModelEvent(kind=kind, pool="default", round=round_)
            transactions.begin_transaction()
            transactions.produce(MODEL_EVENTS, event.to_bytes(), event.key())
            transactions.commit_transaction(10)
    publisher.close()
    assert rows(replay(settings, schemas, quiet))["rounds"] == 1
