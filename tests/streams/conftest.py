"""The tests of this room share one real broker; every test gets new topics on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.sources.json_schema import write_schemas
from streams.settings import StreamsSettings
from tests.streams.support import MakeWorker, Worker, recreate_topics
from tests.streams.world import SHARE, World


@pytest.fixture(scope="session")
def schemas() -> CategorySchemas:
    colour = Attribute(name="colour", type=AttributeType.ENUM, values=("red", "blue"))
    size = Attribute(name="size", type=AttributeType.NUMBER, units=("cm",))
    return CategorySchemas([CategorySchema(category="Lamps", attributes=(colour, size))])


@pytest.fixture
def settings(bootstrap: str, schemas: CategorySchemas, tmp_path: Path) -> StreamsSettings:
    """Settings of a pool of its own, on topics that nobody has written to."""
    write_schemas(tmp_path / "schema.json", schemas)
    settings = StreamsSettings(
        bootstrap_servers=bootstrap,
        schema_path=tmp_path / "schema.json",
        pool_dir=tmp_path / "pool",
        max_event_bytes=64 * 1024,
        k=1000,
        heldout_share=SHARE,
        heldout_least=1,
        max_share_per_group=1.0,  # all its lamps have nearly the same title
    )
    recreate_topics(settings)
    return settings


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A pool without Kafka, and what sellers do with it."""
    made = World(tmp_path)
    yield made
    made.pool.close()


@pytest.fixture
def worker(settings: StreamsSettings, tmp_path: Path) -> Iterator[MakeWorker]:
    """Makes workers; those still alive at the end of the test are ended."""
    made: list[Worker] = []

    def make(kind: str, changed: StreamsSettings | None = None, **env: str) -> Worker:
        made.append(Worker(kind, changed or settings, tmp_path, env))
        return made[-1]

    yield make
    for one in made:
        if not one.dead():
            one.kill()
