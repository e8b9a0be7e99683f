"""Two pools on one broker, by the prefix of their topics and groups: they share nothing."""

from pathlib import Path

import pytest

from infra.settings import Settings
from schemas.category import CategorySchemas
from schemas.events import ModelEvent, ModelEventKind, RetrainRequest
from schemas.topic_names import MODEL_EVENTS, RETRAIN
from streams.kafka.control_log import ChampionAlias, ControlLog
from streams.kafka.publisher import Publisher
from streams.settings import StreamsSettings
from streams.sql.client import SqlError, ask_writer
from tests.streams.support import MakeWorker, listing, read_all, recreate_topics, send
from tests.streams.world import held_out_id
from tests.waiting import wait_for
from trainer.event_log import EventLog

PATIENCE_S = 120.0


@pytest.fixture
def pools(settings: StreamsSettings, tmp_path: Path) -> list[StreamsSettings]:
    """A pool for each of two countries; the first begins a round with four listings."""
    made = [
        settings.model_copy(
            update={"prefix": f"{name}.", "pool": name, "pool_dir": tmp_path / name, "k": k}
        )
        for name, k in (("de", 4), ("fr", 1000))
    ]
    for one in made:
        recreate_topics(one)
    return made


def samples(settings: StreamsSettings) -> set[str]:
    return {row[0] for row in ask_writer(settings, "SELECT listing_id FROM store.samples")}


def champion(settings: StreamsSettings) -> str:
    """The adapter by which predict workers of this pool answer."""
    alias = ChampionAlias()
    with ControlLog(settings, [alias]) as log:
        log.wait_ready(PATIENCE_S)
        return alias.champion.id


def test_two_pools_on_one_broker_share_no_event_no_round_and_no_champion(
    pools: list[StreamsSettings], schemas: CategorySchemas, worker: MakeWorker
) -> None:
    german, french = pools
    sold = {
        "de": [held_out_id(0), *(f"d{n}" for n in range(6))],
        "fr": [held_out_id(1), *(f"f{n}" for n in range(3))],
    }
    for one in pools:
        worker("curate", one).start()
        send(one, *(event for id_ in sold[one.pool] for event in listing(schemas, id_)))
    for one in pools:
        wait_for(
            lambda one=one: samples(one) == set(sold[one.pool]), PATIENCE_S, meanwhile=SqlError
        )

    wait_for(lambda: len(read_all(german, RETRAIN)) == 1, PATIENCE_S)
    round_ = RetrainRequest.model_validate_json(read_all(german, RETRAIN)[0][-1])
    assert round_.pool == "de"
    event = ModelEvent(
        kind=ModelEventKind.PROPOSED,
        pool="de",
        round=1,
        adapter_id="de-r1-a1",
        adapter_hash="1" * 64,
        adapter_uri="/registry/de-r1-a1",
    )
    publisher = Publisher(german)
    publisher.send(MODEL_EVENTS, event.key(), event.to_bytes()).result(30)
    publisher.close()
    wait_for(lambda: champion(german) == "de-r1-a1", PATIENCE_S)
    assert champion(french) == "base"
    assert read_all(french, MODEL_EVENTS) == read_all(french, RETRAIN) == []


def test_each_pool_has_a_trainer_group_of_its_own_that_hears_of_its_rounds_alone(
    pools: list[StreamsSettings],
) -> None:
    german, french = (Settings(streams=one).kafka_for_trainer() for one in pools)
    assert (german.group, french.group) == ("de.listune.trainer", "fr.listune.trainer")
    assert german.retrain_topic == "de.training.retrain"
    rejected = ModelEvent(kind=ModelEventKind.REJECTED, pool="de", round=1)
    round_ = RetrainRequest(
        pool="de",
        round=1,
        parent_id="base",
        parent_hash="base",
        selection="gap",
        k=1,
        min_gap=0.0,
        files=[],
    )
    with EventLog(german) as ours, EventLog(french) as theirs:
        ours.publish(rejected)
        wait_for(lambda: ours.catch_up() and theirs.catch_up(), PATIENCE_S)
        assert ours.answered(round_)
        assert not theirs.answered(round_)
