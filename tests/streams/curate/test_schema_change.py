"""A schema file changes under real workers on a real broker, while listings come in."""

from collections import Counter
from itertools import chain
from pathlib import Path

import duckdb
import pytest

from infra.cli import proposals
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ListingPrediction, ListingRequest, ListingReview, Status
from schemas.sources.json_schema import write_schemas
from schemas.topic_names import PREDICTIONS
from streams.replay.rebuild import Replayed, replay
from streams.settings import StreamsSettings
from streams.sql.client import ask_writer
from tests.streams.support import MakeWorker, applied, listing, read_all, send
from tests.waiting import wait_for

SHAPE = Attribute(name="shape", type=AttributeType.ENUM, values=("round", "square"))
COUNT = 40


def with_green_and_shape(schemas: CategorySchemas) -> CategorySchemas:
    colour, size = schemas["Lamps"].attributes
    green = colour.model_copy(update={"values": ("green", *colour.values)})
    return CategorySchemas([CategorySchema(category="Lamps", attributes=(green, size, SHAPE))])


def replace_file(path: Path, schemas: CategorySchemas) -> None:
    aside = path.with_suffix(".new")
    write_schemas(aside, schemas)
    aside.replace(path)


def requests(schemas: CategorySchemas, prefix: str) -> list[ListingRequest]:
    return [
        ListingRequest(
            request_id=f"request-{prefix}{number}",
            listing_id=f"{prefix}{number}",
            category="Lamps",
            category_schema_hash=schemas["Lamps"].hash,
            title="A lamp",
        )
        for number in range(COUNT)
    ]


def answers(settings: StreamsSettings) -> list[ListingPrediction]:
    found = read_all(settings, PREDICTIONS)
    return [ListingPrediction.model_validate_json(value) for *_, value in found]


def review(answer: ListingPrediction) -> ListingReview:
    return ListingReview(
        review_id=f"review-{answer.listing_id}",
        prediction_id=answer.prediction_id,
        request_id=answer.request_id,
        listing_id=answer.listing_id,
        category=answer.category,
        category_schema_hash=answer.category_schema_hash,
        shown=answer.values,
        submitted={"colour": ["green"], "size": ["5 cm"], "shape": ["round"]},
    )


def test_a_review_that_comes_before_the_next_look_at_the_file_is_counted_by_its_schema(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"schema_look_s": 600.0})
    new = with_green_and_shape(schemas)
    curate = worker("curate", settings).start()
    replace_file(settings.schema_path, new)
    asked, answer, said = listing(new, "a")
    send(settings, asked, answer, said.model_copy(update={"shown": {"shape": ["round"]}}))
    wait_for(lambda: applied(curate, 3))
    assert curate.stop() == 0
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        assert con.execute("SELECT shown, accepted FROM acceptance_by_day").fetchall() == [(1, 0)]


def test_a_schema_changes_under_load_and_nothing_is_lost(
    settings: StreamsSettings, schemas: CategorySchemas, worker: MakeWorker
) -> None:
    settings = settings.model_copy(update={"schema_look_s": 0.3})
    new = with_green_and_shape(schemas)
    predict, curate = worker("predict", settings).start(), worker("curate", settings).start()
    early, late, fresh = requests(schemas, "a"), requests(schemas, "b"), requests(new, "c")

    send(settings, *early)
    replace_file(settings.schema_path, new)
    send(settings, *chain.from_iterable(zip(late, fresh, strict=True)))
    wait_for(lambda: len(answers(settings)) == 3 * COUNT)
    found = answers(settings)
    assert set(Counter(a.request_id for a in found).values()) == {1}
    assert {a.status for a in found} == {Status.OK}
    values = {a.listing_id[0]: a.values for a in found}
    assert values["a"] == values["b"] == {"colour": ["red"]}  # as they were asked
    assert values["c"] == {"colour": ["green"], "shape": ["round"]}

    send(settings, *map(review, found))
    wait_for(lambda: applied(curate, 9 * COUNT))
    wait_for(lambda: "new schemas of Lamps" in curate.log.read_text())
    done: list[Replayed] = []

    def measured_by_the_new_ones() -> bool:
        done.append(replay(settings, new, lambda *_: None))
        return not done[-1].other_schemas

    wait_for(measured_by_the_new_ones)
    assert done[-1].equal
    assert done[-1].rebuilt["samples"].rows == 3 * COUNT

    settings.schema_path.write_text('{"Lamps": {"attributes"')
    stay = "until then the schemas in force stay"
    wait_for(lambda: all(stay in one.log.read_text() for one in (predict, curate)))
    more = requests(new, "d")
    send(settings, *more)
    wait_for(lambda: len(answers(settings)) == 4 * COUNT)
    assert {a.status for a in answers(settings)} == {Status.OK}
    assert predict.stop() == curate.stop() == 0
    with duckdb.connect(str(settings.pool_dir / "default.duckdb"), read_only=True) as con:
        assert con.execute(
            "SELECT listing_id[1], count(*), min(c_model), max(c_model), min(c_catalog) "
            "FROM store.samples GROUP BY 1 ORDER BY 1"
        ).fetchall() == [
            ("a", 40, 1 / 3, 1 / 3, 1),
            ("b", 40, 1 / 3, 1 / 3, 1),
            ("c", 40, 2 / 3, 2 / 3, 1),
        ]


@pytest.mark.slow
def test_an_accepted_proposal_is_in_force_soon_after_the_workers_next_look(
    settings: StreamsSettings,
    schemas: CategorySchemas,
    worker: MakeWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = settings.model_copy(update={"schema_look_s": 0.3})
    curate = worker("curate", settings).start()
    for number in range(2):
        asked, answer, said = listing(schemas, f"lilac-{number}")
        send(settings, asked, answer, said.model_copy(update={"submitted": {"colour": ["lilac"]}}))
    wait_for(lambda: applied(curate, 6))
    assert ask_writer(settings, 'SELECT "value" FROM main.proposals') == [("lilac",)]

    monkeypatch.setattr(proposals, "stack_settings", lambda: settings)
    proposals.accept("Lamps", "colour", "lilac", [])
    wait_for(lambda: "new schemas of Lamps" in curate.log.read_text())
    wait_for(lambda: ask_writer(settings, 'SELECT "value" FROM main.proposals') == [])
    completeness = "SELECT DISTINCT c_catalog FROM store.samples"
    wait_for(lambda: ask_writer(settings, completeness) == [(0.5,)])
    assert curate.stop() == 0
