"""A review belongs to the text that it reviewed, and what is last is said by the broker's clock."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.events import ListingPrediction, ListingRequest, ModelEventKind, Purpose, Status
from streams.pool.deciding.selection import prune
from streams.pool.erasure import forgotten_hashes
from streams.pool.store import Pool, Record
from tests.streams.world import (
    DAY_MS,
    SCHEMAS,
    START_MS,
    TOPIC_IDS,
    World,
    prediction,
    promoted,
    request,
    review,
    settings,
    whole_way,
)

K = ModelEventKind
RED = {"Colour": ["red"], "Height": ["30 cm"]}
BLUE = {"Colour": ["blue"], "Height": ["90 cm"]}
PAIRS = "SELECT title, deficit, review_id FROM samples ORDER BY adapter_hash"
WAITING = "SELECT reviews_without_text FROM status"


def asked(text: str, **changes: Any) -> ListingRequest:
    """Request `q-<text>` for the listing `lamp` with this title."""
    return request("lamp", **{"request_id": f"q-{text}", "title": f"Lamp, {text}", **changes})


def answered(text: str, **changes: Any) -> ListingPrediction:
    return prediction(asked(text), **changes)


# ------------------------------------------------------------------------- text and values


def test_a_listing_that_is_asked_again_keeps_the_reviewed_text_with_the_reviewed_values(
    world: World,
) -> None:
    said = review(answered("red, 30 cm"), review_id="red", submitted=RED)
    world.feed(asked("red, 30 cm"), answered("red, 30 cm"), said)
    world.feed(asked("blue, 90 cm"), answered("blue, 90 cm"))
    assert world.rows(PAIRS) == [("Lamp, red, 30 cm", 0.5, "red")]
    world.feed(review(answered("blue, 90 cm"), review_id="blue", submitted=BLUE))
    assert world.rows(PAIRS) == [("Lamp, blue, 90 cm", 0.5, "blue")]


def test_a_review_from_an_old_browser_tab_belongs_to_its_old_text(world: World) -> None:
    for text, values in (("red", RED), ("blue", BLUE)):
        world.feed(asked(text), answered(text))
        world.feed(review(answered(text), submitted=values))
    world.feed(review(answered("red"), review_id="old tab", submitted=RED))
    assert world.rows(PAIRS) == [("Lamp, red", 0.5, "old tab")]


def test_the_round_s_file_pairs_the_reviewed_text_with_its_values(world: World) -> None:
    world.sell_many(3)
    world.feed(asked("red"), answered("red"), review(answered("red"), submitted=RED))
    world.feed(asked("blue"), answered("blue"))
    [round_] = world.step()
    [train, _] = round_.files
    found = duckdb.sql(f"""SELECT title, "values" FROM '{train.path}' WHERE listing_id = 'lamp'""")
    assert [(title, json.loads(values)) for title, values in found.fetchall()] == [
        ("Lamp, red", RED)
    ]


def test_an_adapter_is_measured_on_the_reviewed_text_alone(world: World) -> None:
    """It answered another text of the listing better, and later."""
    world.feed(asked("red"), answered("red"), review(answered("red"), submitted=RED))
    by = {"adapter_hash": "f00", "adapter_id": "x"}
    world.feed(asked("blue"), answered("blue", filled=2, **by))
    assert world.rows("SELECT adapter_hash, deficit FROM samples") == [("base", 0.5)]
    order = asked("red", request_id="order", purpose=Purpose.BACKFILL, adapter_hash="f00")
    world.feed(prediction(order, filled=1, **by))
    assert world.rows(PAIRS) == [("Lamp, red", 0.5, "v-p-q-red"), ("Lamp, red", 0.25, "v-p-q-red")]


def test_the_text_is_found_by_a_prediction_that_failed(world: World) -> None:
    """Nobody answered the seller in time, who filled the form; an order measures it later."""
    late = answered("red", status=Status.EXPIRED, values={})
    world.feed(asked("red"), late, review(late, request_id="nobody knows", submitted=RED))
    assert world.rows(WAITING) == [(0,)]
    order = asked("red", request_id="order", purpose=Purpose.BACKFILL)
    world.feed(prediction(order))
    assert world.rows(PAIRS) == [("Lamp, red", 0.5, f"v-{late.prediction_id}")]


def test_a_review_of_a_second_answer_belongs_to_the_text_of_its_request(world: World) -> None:
    """The first answer in the log is the canonical one; the seller saw the second."""
    second = answered("red", prediction_id="second")
    world.feed(asked("red"), answered("red"), second, review(second, submitted=RED))
    world.feed(asked("blue"), answered("blue"))
    assert world.rows(PAIRS) == [("Lamp, red", 0.5, "v-second")]


def test_the_text_stays_known_when_the_pool_lets_go_of_the_answer_that_was_reviewed(
    world: World,
) -> None:
    world.feed(asked("red"), answered("red", filled=2), review(answered("red"), submitted=RED))
    order = asked("red", request_id="order", purpose=Purpose.BACKFILL)
    world.feed(prediction(order, adapter_hash="f00", adapter_id="x"))
    prune(world.pool.con, "deficit", max_rows=1, max_age_ms=DAY_MS, heldout_most=1)
    assert world.rows("SELECT adapter_hash FROM store.predictions") == [("f00",)]
    world.feed(asked("blue"))
    assert world.rows("SELECT title, adapter_hash FROM samples") == [("Lamp, red", "f00")]


def test_a_review_of_an_unknown_text_makes_no_sample_and_is_counted_until_it_is_known(
    world: World,
) -> None:
    said = review(answered("red"), review_id="red", submitted=RED)
    world.feed(asked("blue"), answered("blue"), said)
    assert world.rows(PAIRS) == []
    assert world.rows(WAITING) == [(1,)]
    world.feed(answered("red"))  # which text it was is known now, not yet what it said
    assert world.rows(WAITING) == [(1,)]
    world.feed(asked("red"))
    assert world.rows(PAIRS) == [("Lamp, red", 0.5, "red")]
    assert world.rows(WAITING) == [(0,)]


def test_a_review_that_names_another_listing_s_prediction_takes_no_text_from_it(
    world: World,
) -> None:
    other = world.sell("other")
    world.feed(asked("red"), answered("red"))
    stray = review(answered("red"), prediction_id=other.prediction_id, request_id=other.request_id)
    world.feed(stray)
    assert world.rows("SELECT listing_id FROM samples") == [("other",)]
    assert world.rows(WAITING) == [(1,)]


def test_the_pairs_do_not_depend_on_the_order_of_reading(tmp_path: Path) -> None:
    """Of three topics, each in two partitions that are read one after the other."""
    events = {
        "listing.requests": [asked("red"), asked("blue")],
        "listing.predictions": [answered("red"), answered("blue")],
        "listing.reviews": [
            review(answered("blue"), submitted=BLUE),
            review(answered("red"), review_id="old tab", submitted=RED),
        ],
    }
    found = set()
    for number, order in enumerate(permutations((t, p) for t in events for p in range(2))):
        if number % 24:  # of 720 orders 30
            continue
        world = World(tmp_path / str(number))
        for topic, partition in order:
            stamp = START_MS + partition
            event = events[topic][partition]
            world.pool.apply([world.pool.record(topic, partition, 0, stamp, event)])
        found.add((*world.rows(PAIRS), *world.rows(WAITING)))
        world.pool.close()
    assert found == {(("Lamp, red", 0.5, "old tab"), (0,))}


# ------------------------------------------------------------------------- measuring again


def test_the_reviewed_text_is_ordered_again_and_not_the_last_one(world: World) -> None:
    world.feed(asked("red", title="a"), prediction(asked("red", title="a"), filled=4))
    world.feed(review(prediction(asked("red", title="a"), filled=4)))
    world.feed(asked("blue"), answered("blue"))
    adapter = promoted(world)
    world.step()
    [order] = [one for one in world.orders if one.listing_id == "lamp"]
    assert (order.title, order.live_input_hash) == ("a", asked("red", title="a").input_hash())
    world.answer_orders(adapter)
    assert ("a", adapter) in world.rows("SELECT title, adapter_hash FROM samples WHERE fresh")


def test_a_text_that_is_reviewed_after_another_was_ordered_is_ordered_too(world: World) -> None:
    """Else the listing would count for no round until the next promotion."""
    well = answered("red", filled=4)  # so that the first round does not take it
    world.feed(asked("red"), well, review(well))
    world.feed(asked("blue"), answered("blue"))  # the former champion's, reviewed late
    adapter = promoted(world)
    world.step()
    world.answer_orders(adapter)
    world.feed(review(answered("blue"), review_id="late"))
    assert world.rows("SELECT title FROM samples WHERE listing_id = 'lamp'") == [("Lamp, blue",)]
    world.now_ms += 5_000
    world.step()
    assert [order.title for order in world.orders] == ["Lamp, blue"]
    world.answer_orders(adapter)
    fresh = "SELECT title FROM samples WHERE fresh AND listing_id = 'lamp'"
    assert world.rows(fresh) == [("Lamp, blue",)]


# ------------------------------------------------------------------------- what is last


def placed(pool: Pool, event: Any, partition: int, offset: int, ms: int) -> Record:
    kinds = {"ListingRequest": "requests", "ListingPrediction": "predictions"}
    topic = f"listing.{kinds.get(type(event).__name__, 'reviews')}"
    return pool.record(topic, partition, offset, START_MS + ms, event)


@pytest.mark.parametrize("first_read", [0, 1])
def test_the_last_review_is_the_one_that_the_broker_took_last_in_whatever_partition(
    world: World, first_read: int
) -> None:
    """A producer with another partitioner wrote the earlier one."""
    world.feed(asked("red"), answered("red"))
    early = review(answered("red"), review_id="early", submitted=RED)
    late = review(answered("red"), review_id="late", submitted={"Colour": ["red"]})
    records = [placed(world.pool, early, 3, 0, 1), placed(world.pool, late, 0, 0, 2)]
    for number in (first_read, 1 - first_read):
        world.pool.apply([records[number]])
    assert world.rows(PAIRS) == [("Lamp, red", 0.25, "late")]
    shown = "SELECT reviews FROM acceptance_by_day"
    assert world.rows(shown) == [(1,)]


@pytest.mark.parametrize("first_read", [0, 1])
def test_the_first_answer_is_the_one_that_the_broker_took_first_in_whatever_partition(
    world: World, first_read: int
) -> None:
    early, late = answered("red", prediction_id="early"), answered("red", prediction_id="late")
    records = [placed(world.pool, early, 3, 7, 1), placed(world.pool, late, 0, 0, 2)]
    for record in records:
        world.pool.start_at(record.topic, record.partition, record.offset)
    for number in (first_read, 1 - first_read):
        world.pool.apply([records[number]])
    assert world.rows("SELECT prediction_id FROM store.predictions") == [("early",)]


def test_of_two_in_one_millisecond_the_higher_offset_is_last(world: World) -> None:
    world.feed(asked("red"), answered("red"))
    for offset, name in ((0, "early"), (1, "late")):
        said = review(answered("red"), review_id=name)
        world.pool.apply([placed(world.pool, said, 2, offset, 0)])
    assert world.rows("SELECT review_id FROM samples") == [("late",)]


# ------------------------------------------------------------------------- forgetting, old files


def test_a_forgotten_listing_no_longer_waits_for_its_text(world: World) -> None:
    world.feed(review(answered("red")))
    assert world.rows(WAITING) == [(1,)]
    world.forget("lamp")
    assert len(forgotten_hashes(world.pool.con)) == 1
    assert world.rows(WAITING) == [(0,)]


def test_a_pool_from_before_reviews_had_their_text_is_measured_anew(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.feed(asked("red"), answered("red"), review(answered("red"), submitted=RED))
    world.feed(*whole_way("b", filled=1))
    con = world.pool.con
    con.execute("UPDATE store.samples SET request_id = 'q-blue', deficit = 1")
    con.execute("ALTER TABLE store.reviews DROP COLUMN request_id")
    con.execute("ALTER TABLE store.backfill_orders DROP COLUMN input_hash")
    con.execute("DROP VIEW main.status")
    con.execute("DROP TABLE store.textless")
    con.execute("UPDATE store.meta SET value = '2' WHERE name = 'measures'")
    world.pool.close()
    pool = Pool(settings(tmp_path), SCHEMAS, "cluster", TOPIC_IDS)
    assert pool.remeasure() == 0
    found = pool.con.execute("SELECT title, deficit FROM samples ORDER BY listing_id").fetchall()
    assert found == [("Lamp b", 0.75), ("Lamp, red", 0.5)]
    asked_by = pool.con.execute("SELECT request_id FROM store.reviews ORDER BY 1").fetchall()
    assert asked_by == [("q-b",), ("q-red",)]
    pool.close()
