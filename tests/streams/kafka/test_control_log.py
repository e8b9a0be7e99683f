"""The control topics are followed from their beginning; the champion is who was promoted last."""

import pytest

from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from schemas.topic_names import MODEL_EVENTS, RETRAIN
from streams.errors import ControlLogError
from streams.kafka.control_log import (
    Champion,
    ChampionAlias,
    ControlLog,
    ControlRecord,
    PublishedEvents,
)
from streams.kafka.publisher import Publisher
from streams.settings import StreamsSettings
from tests.waiting import wait_for


def event(kind: ModelEventKind, adapter: str | None, uri: str | None = None) -> ModelEvent:
    return ModelEvent(
        kind=kind, pool="default", round=1, adapter_id=adapter, adapter_hash=adapter,
        adapter_uri=uri,
    )  # fmt: skip


PUBLISHED = event(ModelEventKind.PUBLISHED, "a1", "/registry/a1")
PROMOTED = event(ModelEventKind.PROMOTED, "a1")
ROUND = RetrainRequest(
    pool="default", round=1, parent_id="base", parent_hash="base", selection="gap", k=1,
    min_gap=0.0, files=[],
)  # fmt: skip


def test_the_champion_is_who_was_promoted_last_and_its_file_is_the_published_one() -> None:
    alias = ChampionAlias()
    assert alias.champion == Champion("base", "base", None)
    for n, said in enumerate([PUBLISHED, PROMOTED]):
        alias(ControlRecord(MODEL_EVENTS, n, said))
    assert alias.champion == Champion("a1", "a1", "/registry/a1")
    alias(ControlRecord(MODEL_EVENTS, 2, event(ModelEventKind.ROLLED_BACK, "base")))
    assert alias.champion == Champion("base", "base", None)
    alias(ControlRecord(MODEL_EVENTS, 3, event(ModelEventKind.REJECTED, "a2")))
    assert alias.champion.id == "base"


def test_the_log_is_ready_when_what_was_there_is_delivered_and_then_goes_on(
    settings: StreamsSettings,
) -> None:
    publisher = Publisher(settings)
    publisher.send(MODEL_EVENTS, PUBLISHED.key(), PUBLISHED.to_bytes())
    publisher.send(MODEL_EVENTS, "junk", b"{not json")
    publisher.send(RETRAIN, "default", ROUND.to_bytes())
    publisher.flush(10)
    records: list[ControlRecord] = []
    published = PublishedEvents()
    with ControlLog(settings, [records.append, published]) as log:
        log.wait_ready(20)
        assert [r.event for r in records if r.topic == MODEL_EVENTS] == [PUBLISHED, None]
        assert ROUND in published
        assert PROMOTED not in published
        publisher.send(MODEL_EVENTS, PROMOTED.key(), PROMOTED.to_bytes())
        wait_for(lambda: PROMOTED in published)
    assert {record.error.reason for record in records if record.error} == {"not_json"}
    publisher.close()


def test_empty_topics_are_ready_at_once(settings: StreamsSettings) -> None:
    with ControlLog(settings, []) as log:
        log.wait_ready(20)


def test_a_broken_callback_is_told_and_not_swallowed(settings: StreamsSettings) -> None:
    publisher = Publisher(settings)
    publisher.send(MODEL_EVENTS, PUBLISHED.key(), PUBLISHED.to_bytes())
    publisher.flush(10)
    publisher.close()

    def broken(_: ControlRecord) -> None:
        raise ValueError("no good")

    log = ControlLog(settings, [broken])
    log.start()
    with pytest.raises(ControlLogError, match="cannot be followed: no good"):
        log.wait_ready(20)
    log.close()
