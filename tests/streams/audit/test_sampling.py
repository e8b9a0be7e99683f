"""The draw: stratified, seeded, with known probabilities, and without a text."""

from collections import Counter
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from schemas.events import listing_sha256
from streams.audit.errors import AuditError
from streams.audit.sampling import Sample, draw, read_sample, texts, write_sample
from streams.sql.guard import SqlGuard
from tests.streams.world import DAY_MS, START_MS, World, prediction, request, review

GUARD = SqlGuard()


class Asking:
    """The pool as its public endpoint answers: only what the guard lets through."""

    def __init__(self, world: World) -> None:
        self.con = world.pool.con

    def __call__(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        GUARD.check(sql)
        answer = self.con.execute(sql)
        return [column[0] for column in answer.description], answer.fetchall()


def sell(world: World, count: int, **changes: Any) -> None:
    """`count` listings with two values each, Colour ever surer; a third of them accepted."""
    events = []
    for number in range(count):
        asked = request(f"{changes.get('adapter_id', 'l')}-{number}")
        values = {"Colour": ["red"], "Style": ["it's loft"]}
        sure = {"Colour": number / count, "Style": 0.95}
        answer = prediction(asked, values=values, confidence=sure, **changes)
        submitted = {"Colour": ["red" if number % 3 == 0 else "blue"], "Style": ["it's loft"]}
        events.append((asked, answer, review(answer, submitted=submitted)))
    world.feed(*chain.from_iterable(events))


def test_one_seed_draws_one_sample_and_another_seed_another(world: World) -> None:
    sell(world, 60)
    ask = Asking(world)
    one = draw(ask, "a", 30, seed=1)
    assert draw(ask, "a", 30, seed=1) == one
    assert {i.key for i in draw(ask, "a", 30, seed=2).items} != {i.key for i in one.items}


def test_each_stratum_gives_what_it_should_and_the_strata_hold_all_values(world: World) -> None:
    sell(world, 100)
    sample = draw(Asking(world), "a", 50, seed=7)
    assert len({item.key for item in sample.items}) == len(sample.items) == 50
    counted = Counter(item.stratum for item in sample.items)
    assert [counted[n] for n in range(len(sample.strata))] == [s.drawn for s in sample.strata]
    assert sample.values == 200


@pytest.mark.slow
def test_every_value_of_a_stratum_is_drawn_equally_often(world: World) -> None:
    sell(world, 20)
    ask = Asking(world)
    times: Counter[tuple[str, str]] = Counter()
    for seed in range(120):
        times.update(item.key for item in draw(ask, "a", 10, seed=seed).items)
    # One stratum of 40 values, of which 10 are drawn: 30 times of 120, give or take 4 sd.
    assert len(times) == 40
    assert all(11 <= often <= 49 for often in times.values())


def test_categories_and_attributes_come_in_proportion(world: World) -> None:
    sell(world, 40)
    for seed in range(5):
        drawn = draw(Asking(world), "a", 14, seed=seed).items
        counts = Counter(item.attribute for item in drawn)
        assert counts["Colour"] == counts["Style"] == 7


def test_a_values_score_is_what_sellers_accepted_at_its_confidence(world: World) -> None:
    sell(world, 90)
    drawn = draw(Asking(world), "a", 90, seed=7).items
    styles = [item for item in drawn if item.attribute == "Style"]
    assert all(item.score > 0.9 for item in styles)
    assert all(item.score < 0.7 for item in drawn if (item.confidence or 0) < 0.5)


def test_named_adapters_are_drawn_equally_and_no_other(world: World) -> None:
    for adapter, count in (("r1", 40), ("r2", 15), ("r3", 10)):
        sell(world, count, adapter_id=adapter, adapter_hash=adapter)
    drawn = draw(Asking(world), "a", 20, seed=7, adapters=["r1", "r2"]).items
    assert Counter(item.adapter_id for item in drawn) == {"r1": 10, "r2": 10}


def test_only_answers_since_a_time_are_drawn(world: World) -> None:
    sell(world, 3, adapter_id="early")
    world.now_ms += DAY_MS
    sell(world, 4, adapter_id="late")
    noon = datetime.fromtimestamp((START_MS + DAY_MS // 2) / 1000, UTC).replace(tzinfo=None)
    sample = draw(Asking(world), "a", 99, seed=7, since=noon)
    assert {item.adapter_id for item in sample.items} == {"late"}
    assert sample.values == 8


def test_an_adapter_that_suggested_nothing_is_one_sentence(world: World) -> None:
    sell(world, 3)
    with pytest.raises(AuditError, match="adapter 'r9' suggested no value to a seller"):
        draw(Asking(world), "a", 4, seed=7, adapters=["base", "r9"])


def test_an_empty_pool_is_one_sentence(world: World) -> None:
    with pytest.raises(AuditError, match="no suggested value to draw from"):
        draw(Asking(world), "a", 200, seed=7)


def test_where_fewer_values_are_there_than_asked_for_all_are_drawn(world: World) -> None:
    sell(world, 5)
    sample = draw(Asking(world), "a", 200, seed=7)
    assert len(sample.items) == sample.values == 10


def test_the_file_has_no_text_and_the_pool_gives_it(world: World, tmp_path: Path) -> None:
    sell(world, 5)
    ask = Asking(world)
    sample = draw(ask, "a", 4, seed=7)
    write_sample(sample, tmp_path)
    assert "It is a lamp." not in (tmp_path / "sample.json").read_text()
    assert read_sample(tmp_path) == sample
    found = texts(world.rows, sample.items)
    assert found.keys() == {item.prediction_id for item in sample.items}
    assert {description for _, description in found.values()} == {"It is a lamp."}


def test_a_forgotten_listing_leaves_the_sample(world: World) -> None:
    sell(world, 4)
    sample = draw(Asking(world), "a", 8, seed=7)
    left = sample.without({listing_sha256("l-2")})
    assert (len(left.items), left.forgotten) == (6, 2)
    assert "p-q-l-2" not in left.model_dump_json()
    assert sample.without({"0" * 64}) is sample


@pytest.mark.parametrize(
    ("content", "said"), [(None, "there is no audit"), ("{}", "cannot be read")]
)
def test_a_sample_that_cannot_be_read_is_one_sentence(
    content: str | None, said: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "sample.json").write_text(content)
    with pytest.raises(AuditError, match=said):
        read_sample(tmp_path)


def test_answers_from_before_confidence_was_kept_are_drawn_too(world: World) -> None:
    world.feed(request("a"), prediction(request("a"), values={"Colour": ["red"], "Style": ["x"]}))
    sample: Sample = draw(Asking(world), "a", 2, seed=7)
    assert [item.confidence for item in sample.items] == [None, None]
    assert [stratum.band for stratum in sample.strata] == ["none"]
