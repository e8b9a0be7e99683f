"""A stack that never had a champion begins with history's adapter."""

from pathlib import Path

import pytest

from infra.history.handover import announcement, check_fits, hand_over
from infra.lab.small import small_settings
from infra.settings import Settings
from schemas.category import CategorySchema
from schemas.errors import ListuneError
from schemas.events import ModelEvent, ModelEventKind
from schemas.sources.json_schema import write_schemas
from schemas.topic_names import MODEL_EVENTS
from streams.kafka.publisher import Publisher
from streams.kafka.topics import log_bounds
from tests.infra.history.conftest import SEED, Catalog, Done
from tests.streams.support import recreate_topics
from tests.streams.world import World
from trainer.data.registry import Registry

pytestmark = pytest.mark.slow


def said(done: Done) -> list[ModelEvent]:
    best = done[2].best
    assert best is not None
    return announcement(Registry(done[1].trainer.registry_dir), best, "default")


def test_the_conductor_promotes_the_last_and_its_own_rounds_begin_at_1_from_it(
    further: Done, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.tick()
    world.hear(*said(further))
    world.step()
    champion = world.conductor.champion()
    best = further[2].best
    assert best is not None
    assert (champion.id, champion.hash) == (best.lineage.adapter_id, best.lineage.adapter_hash)
    assert champion.uri == str(best.path.resolve())
    world.sell_many(4, "first", adapter_hash=champion.hash, adapter_id=champion.id)
    [request] = world.step()
    assert (request.pool, request.round, request.parent_id) == ("default", 1, champion.id)
    assert request.source == "stream"
    world.pool.close()


def test_nothing_of_history_is_in_the_pool_or_counts_as_accepted(
    further: Done, tmp_path: Path
) -> None:
    world = World(tmp_path, held_out=0)
    world.hear(*said(further))
    world.step()
    for table in ("samples", "reviews", "predictions", "requests", "used", "rounds"):
        assert world.rows(f"SELECT count(*) FROM store.{table}") == [(0,)]
    assert world.rows("FROM acceptance_by_day") == []
    world.pool.close()


def test_a_round_of_the_stack_is_not_taken_for_one_of_history_with_its_number(
    further: Done, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.tick()
    world.hear(*said(further))
    world.step()
    champion = world.conductor.champion()
    world.sell_many(4, adapter_hash=champion.hash, adapter_id=champion.id)
    world.step()
    world.train(ModelEventKind.PROPOSED)
    world.step()
    world.forget("l0")
    world.step()
    [(rounds, adapters)] = world.rows("SELECT rounds, adapters FROM forgotten")
    assert (rounds, adapters) == ([1], ["default-r1-a1"])
    world.pool.close()


def test_a_rollback_goes_back_through_history_to_the_base(further: Done, tmp_path: Path) -> None:
    world = World(tmp_path)
    world.tick()
    world.hear(*said(further))
    world.step()
    ids = [entry.lineage.adapter_id for entry, _ in further[2].rounds]
    for expected in (*reversed(ids[:-1]), "base"):
        world.say(ModelEventKind.ROLLBACK_REQUESTED)
        world.step()
        assert world.conductor.champion().id == expected
    world.pool.close()


def fitting(done: Done, catalog: Catalog, folder: Path) -> Settings:
    path = folder / "schema.json"
    write_schemas(path, catalog[0])
    return done[1].changed(streams={"schema_path": path})


def test_it_fits_the_base_and_the_schema_that_it_was_trained_by_and_no_other(
    done: Done, catalog: Catalog, tmp_path: Path
) -> None:
    run_dir, _, outcome = done
    assert outcome.best is not None
    settings = fitting(done, catalog, tmp_path)
    check_fits(outcome.best, settings, run_dir)
    other = small_settings(tmp_path, SEED + 1).local.base_model
    with pytest.raises(ListuneError, match=r"another base model than .* bootstrap anew"):
        check_fits(outcome.best, settings.changed(serving={"base_model": str(other)}), run_dir)
    schemas = dict(catalog[0])
    name, schema = schemas.popitem()
    write_schemas(settings.streams.schema_path, schemas)
    with pytest.raises(ListuneError, match=rf"has no category '{name}'.*bootstrap anew"):
        check_fits(outcome.best, settings, run_dir)
    changed = CategorySchema(category=name, attributes=schema.attributes[1:])
    write_schemas(settings.streams.schema_path, {**schemas, name: changed})
    with pytest.raises(ListuneError, match=r"another schema for category .*SCHEMA_PATH"):
        check_fits(outcome.best, settings, run_dir)


def test_a_stack_whose_alias_moved_once_is_left_alone_even_back_to_the_base(
    done: Done, catalog: Catalog, tmp_path: Path, bootstrap: str
) -> None:
    settings = fitting(done, catalog, tmp_path).changed(streams={"bootstrap_servers": bootstrap})
    recreate_topics(settings.streams)
    back = ModelEvent(
        kind=ModelEventKind.ROLLED_BACK,
        pool="default",
        round=0,
        adapter_id="base",
        adapter_hash="base",
    )
    publisher = Publisher(settings.streams)
    publisher.send(MODEL_EVENTS, back.key(), back.to_bytes()).result(30)
    publisher.close()
    before = log_bounds(settings.streams, (MODEL_EVENTS,))
    assert hand_over(settings, done[0]) is None
    assert log_bounds(settings.streams, (MODEL_EVENTS,)) == before


def test_a_stack_without_history_begins_with_the_base_and_asks_no_kafka(
    done: Done, tmp_path: Path
) -> None:
    nothing = done[1].changed(trainer={"registry_dir": tmp_path / "registry"})
    assert hand_over(nothing, tmp_path) is None
