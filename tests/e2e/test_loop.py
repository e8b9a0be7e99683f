"""The whole loop on real parts: broker, Triton, workers and trainer as separate processes."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from confluent_kafka import Consumer, TopicPartition
from rich.console import Console

import infra.settings
from infra.catalogs.catalog import Product
from infra.demo import summary
from infra.machine import commit
from schemas.decoding import E, decode
from schemas.events import (
    BASE_ADAPTER,
    DeadLetter,
    ListingPrediction,
    ListingRequest,
    ModelEventKind,
    Purpose,
    Status,
    new_id,
)
from schemas.heldout import is_held_out
from schemas.topic_names import DEAD_LETTERS, PREDICTIONS, REQUESTS
from serving.listing import Listing
from serving.triton.client import TritonClient
from streams.errors import RequestRefused
from streams.kafka.publisher import Publisher
from streams.producer import ListuneClient
from streams.sql.client import SqlError, query
from tests.e2e.conftest import Loop
from tests.waiting import wait_for

README = Path(__file__).parents[2] / "README.md"


def test_a_round_is_triggered_trained_judged_and_promoted(loop: Loop) -> None:
    round_one = loop.play.watch.rounds[1]
    kinds = [event.kind for event in round_one.events]
    assert kinds[0] is ModelEventKind.STARTED
    assert ModelEventKind.PUBLISHED in kinds
    assert round_one.end is not None
    assert round_one.end.kind is ModelEventKind.PROMOTED
    assert loop.play.watch.champion_hash == round_one.end.adapter_hash


def test_after_the_promotion_listings_are_answered_by_the_new_adapter(loop: Loop) -> None:
    end = loop.play.watch.rounds[1].end
    assert end is not None
    assert len(loop.play.served[BASE_ADAPTER].latencies_ms) >= loop.settings.demo.wave
    served = loop.play.served[end.adapter_id or ""]
    assert len(served.latencies_ms) == loop.settings.demo.final_wave


def test_the_promoted_adapter_really_serves(loop: Loop) -> None:
    """Fails if the adapter's answer equals the base's on every listing."""
    client = TritonClient(loop.settings.serving)
    champion = loop.play.watch.champion_hash
    different = 0
    for product in loop.unseen[:6]:
        asked = (_listing(product), product.attributes(loop.stage.schemas))
        base = client.generate(*asked)
        new = client.generate(*asked, adapter_hash=champion)
        assert (base.adapter_hash, new.adapter_hash) == (BASE_ADAPTER, champion)
        different += (base.values, base.invalid) != (new.values, new.invalid)
    client.close()
    assert different > 0


def test_listings_are_measured_again_under_the_new_champion(loop: Loop) -> None:
    champion = loop.play.watch.champion_hash
    statement = f"""SELECT count(*) FROM samples
                    WHERE adapter_hash = '{champion}' AND purpose = '{Purpose.BACKFILL}'"""
    wait_for(lambda: _one(loop, statement) > 0, meanwhile=SqlError)


def test_every_review_is_in_the_pool_once(loop: Loop) -> None:
    reviewed = sum(len(served.latencies_ms) for served in loop.play.served.values())
    statement = "SELECT sum(reviews) FROM acceptance_by_day"
    wait_for(lambda: _one(loop, statement) == reviewed, meanwhile=SqlError)


def test_what_is_trained_on_is_never_held_out(loop: Loop) -> None:
    request = loop.play.watch.rounds[1].request
    share, of = loop.settings.streams.heldout_share, {}
    for file in request.files:
        rows = duckdb.sql(f"SELECT listing_id FROM '{file.path}'").fetchall()
        of[file.role] = [is_held_out(listing_id, share) for (listing_id,) in rows]
    assert not any(of["train"])
    assert all(of["heldout"])
    assert len(of["train"]) == loop.settings.streams.k
    assert len(of["heldout"]) >= loop.settings.streams.heldout_least


def test_the_report_holds_every_figure(loop: Loop, tmp_path: Path) -> None:
    played, seconds = loop.play.judge(), loop.play.seconds
    settings, schemas = loop.settings, loop.stage.schemas
    report = summary.build(settings, schemas, played, seconds, time.time(), commit())
    summary.write(report, tmp_path, Console())
    rows = json.loads((tmp_path / "report.json").read_text())["rounds"]
    assert [row["round"] for row in rows] == [0, 1]
    names = ("net_benefit", "completeness", "recall", "precision", "correct_completeness")
    for row in rows:
        assert all(row[name] is not None for name in names), row
        assert all(row[f"{name}_interval"] is not None for name in names), row
        assert all(row[name] is not None for name in ("acceptance", "p50_ms", "p90_ms")), row
    assert (rows[1]["look"], rows[1]["decision"]) == (1, "promoted")
    assert rows[1]["gate_listings"] > 0
    assert rows[1]["train_seconds"] > 0
    assert rows[1]["pool_size"] >= loop.settings.streams.k
    assert "http" not in _sources((tmp_path / "report.html").read_text())


def test_a_malformed_event_goes_to_dead_letters_and_the_next_is_answered(loop: Loop) -> None:
    publisher = Publisher(loop.settings.streams)
    bad = publisher.send(REQUESTS, "bad", b'{"request_id": 5').result(10)
    publisher.close()
    assert _predict(loop, loop.unseen[0]).status is Status.OK
    place = (bad.partition, bad.offset)
    letter = _find(loop, DEAD_LETTERS, DeadLetter, lambda d: (d.partition, d.offset) == place)
    assert letter.reason == "not_json"


def test_an_event_without_a_known_category_is_answered_with_the_reason(loop: Loop) -> None:
    request = ListingRequest(
        request_id=new_id(), listing_id="x", category="Nowhere", category_schema_hash="", title="a"
    )
    publisher = Publisher(loop.settings.streams)
    publisher.send(REQUESTS, "x", request.to_bytes()).result(10)
    publisher.close()
    asked = request.request_id
    answer = _find(loop, PREDICTIONS, ListingPrediction, lambda p: p.request_id == asked)
    assert answer.status is Status.FAILED
    assert "'Nowhere' is unknown" in (answer.error or "")
    assert _predict(loop, loop.unseen[0]).status is Status.OK


def test_the_sdk_sends_no_request_without_a_known_category(loop: Loop) -> None:
    with (
        ListuneClient(loop.settings.streams, loop.stage.schemas) as client,
        pytest.raises(RequestRefused, match="Nowhere"),
    ):
        client.request(listing_id="x", category="Nowhere", title="a")


def test_a_description_of_a_megabyte_is_cut_and_answered(loop: Loop) -> None:
    with ListuneClient(loop.settings.streams, loop.stage.schemas) as client:
        prediction = client.predict(
            listing_id="long",
            category=next(iter(loop.stage.schemas)),
            title="A long story",
            description="kettle " * 150_000,
            timeout_s=60,
        )
    assert prediction.status is Status.OK


def test_an_empty_listing_is_answered_with_the_reason(loop: Loop) -> None:
    with ListuneClient(loop.settings.streams, loop.stage.schemas) as client:
        prediction = client.predict(
            listing_id="empty", category=next(iter(loop.stage.schemas)), timeout_s=60
        )
    assert prediction.status is Status.FAILED
    assert "title" in (prediction.error or "")


def test_the_readmes_example_sends_a_listing_and_its_review(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(infra.settings, "ACTIVE", loop.run_dir / "active")
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert example is not None
    exec(compile(example[1], "README.md", "exec"), {})
    assert any(line.startswith("default-r1-a1-") for line in capsys.readouterr().out.splitlines())
    statement = "SELECT count(*) FROM samples WHERE listing_id = '4711'"
    wait_for(lambda: _one(loop, statement) == 1, meanwhile=SqlError)


def test_a_triton_that_comes_up_empty_is_given_the_champion_again(loop: Loop) -> None:
    store = loop.settings.serving.adapter_store
    loop.supervisor.kill("triton")
    for blob in sorted(store.glob("*.safetensors")):
        blob.unlink()
    prediction = _predict(loop, loop.unseen[1], timeout_s=120)
    assert prediction.status is Status.OK
    assert prediction.adapter_hash == loop.play.watch.champion_hash


@pytest.mark.parametrize("worker", ["predict", "curate"])
def test_a_killed_worker_comes_back_and_loses_nothing(loop: Loop, worker: str) -> None:
    with ListuneClient(loop.settings.streams, loop.stage.schemas) as client:
        product = loop.unseen[2]
        before = _one(loop, "SELECT sum(reviews) FROM acceptance_by_day")
        loop.supervisor.kill(worker)
        prediction = _predict(loop, product, timeout_s=120)
        client.review(prediction, shown=prediction.values, submitted=product.truth)
    statement = "SELECT sum(reviews) FROM acceptance_by_day"
    wait_for(lambda: _one(loop, statement) == before + 1, meanwhile=SqlError)


def _predict(loop: Loop, product: Product, timeout_s: float = 60):
    with ListuneClient(loop.settings.streams, loop.stage.schemas) as client:
        return client.predict(
            listing_id=product.product_id,
            category=product.category,
            title=product.title,
            description=product.description,
            timeout_s=timeout_s,
        )


def _listing(product: Product) -> Listing:
    return Listing(product.product_id, product.category, product.title, product.description)


def _one(loop: Loop, statement: str) -> int:
    _, rows = query(loop.settings.streams, statement)
    return int(rows[0][0] or 0)


def _find(loop: Loop, topic: str, kind: type[E], wanted: Callable[[E], bool]) -> E:
    """The first event on the topic that is wanted, waited for."""
    consumer = Consumer(
        {"bootstrap.servers": loop.settings.streams.bootstrap_servers, "group.id": new_id()}
    )
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])

    def found() -> E | None:
        message = consumer.poll(0.5)
        if message is None or message.error():
            return None
        event = decode(kind, message.value())
        return event if wanted(event) else None

    try:
        return wait_for(found)
    finally:
        consumer.close()


def _sources(page: str) -> str:
    """Everything in the page that a browser would load."""
    return " ".join(part.split('"')[0] for part in page.replace("href=", "src=").split('src="')[1:])
