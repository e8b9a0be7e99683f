"""The held-out listings: never trained on, the newest reviewed ones judge each round."""

import logging
from pathlib import Path

import duckdb
import pytest
from pydantic import ValidationError

from schemas.events import ListingForgotten, ModelEventKind, RetrainRequest, listing_sha256
from schemas.heldout import is_held_out
from streams.pool import heldout
from streams.pool.deciding import selection
from streams.settings import StreamsSettings
from tests.streams.world import (
    DAY_MS,
    START_MS,
    World,
    begun,
    held_out_id,
    prediction,
    request,
    review,
)

K = ModelEventKind


def listings(event: RetrainRequest, role: str) -> list[str]:
    [file] = [file for file in event.files if file.role == role]
    found = duckdb.sql(f"SELECT listing_id FROM '{file.path}'").fetchall()
    assert file.rows == len(found)
    return [listing for (listing,) in found]


# ----------------------------------------------------------------------------------- never trained


def test_a_held_out_listing_counts_for_no_round_and_is_in_none(world: World) -> None:
    world.hold_out(5)
    assert world.rows("FROM pool") == []
    assert world.step() == []
    assert world.conductor.status() == "collecting 0/4"
    world.sell_many(4)
    event = begun(world)
    assert listings(event, "train") == ["l0", "l3", "l1", "l2"]
    assert set(listings(event, "heldout")) == set(world.held_out)
    assert world.rows("SELECT DISTINCT held_out FROM samples WHERE used") == [(False,)]


def test_it_is_not_measured_again(world: World) -> None:
    world.sell_many(4)
    world.hold_out(3)
    world.step()
    world.train(K.PROPOSED)
    world.step()
    assert world.step() == []


def test_near_duplicates_of_a_held_out_listing_are_passed_over_and_the_next_best_taken(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    judge = held_out_id(0)
    sell_titled(world, judge, "Ceramic lamp, 300 ml, red")
    sell_titled(world, "alike", "Ceramic Lamp 300 ml - Blue")
    world.to_hold_out = 0
    world.sell_many(4, "other")
    with caplog.at_level(logging.INFO, "listune.conductor"):
        event = begun(world)
    assert set(listings(event, "train")) == {"other0", "other1", "other2", "other3"}
    assert "1 listings are passed over: near-duplicates of held-out ones" in caplog.text


def test_a_round_that_would_be_too_small_without_them_waits_and_says_so(tmp_path: Path) -> None:
    world = World(tmp_path, held_out=0, backfill_factor=0)
    sell_titled(world, held_out_id(0), "Ceramic lamp, 300 ml, red")
    sell_titled(world, "alike", "Ceramic Lamp 300 ml - Blue")
    world.sell_many(3, "other")
    for _ in range(3):
        assert world.step() == []
    alike = "1 passed over, near-duplicates of held-out listings"
    assert world.conductor.status() == f"collecting 3/4 · {alike}"
    world.sell("more")
    assert "alike" not in listings(begun(world), "train")
    world.pool.close()


def test_listings_like_a_held_out_one_do_not_keep_others_from_being_measured_again(
    world: World,
) -> None:
    """Else both would wait: the trigger for more, and the orders because there are enough."""
    world.sell_many(4, "first")
    sell_titled(world, held_out_id(1), "Ceramic lamp, 300 ml, red")
    begun(world)
    adapter = world.train(K.PROPOSED)
    world.step()
    for number in range(4):
        live = {"adapter_hash": adapter, "adapter_id": "default-r1-a1"}
        sell_titled(world, f"alike{number}", "Ceramic Lamp 300 ml - Blue", **live)
    world.sell("stale")
    assert [order.listing_id for order in world.step()] == ["stale"]


def test_of_a_person_no_round_is_begun_on_near_duplicates_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    sell_titled(world, held_out_id(0), "Ceramic lamp, 300 ml, red")
    world.to_hold_out = 0
    sell_titled(world, "alike", "Ceramic Lamp 300 ml - Blue")
    world.say(K.RETRAIN_REQUESTED)
    assert world.step() == world.step() == []
    assert "a round was asked for, but no fresh listing counts for one" in caplog.text
    assert world.rows("FROM store.wishes") == []


def sell_titled(world: World, listing: str, title: str, **changes: object) -> None:
    asked = request(listing, title=title)
    answer = prediction(asked, **changes)
    world.feed(asked, answer, review(answer))


# ----------------------------------------------------------------------------- what judges a round


def test_the_newest_by_their_review_judge_and_are_not_used_up(tmp_path: Path) -> None:
    world = World(tmp_path, held_out=0, heldout_most=3)
    for listing in [held_out_id(n) for n in range(5)]:
        world.now_ms += 1
        world.sell(listing, filled=4)
    world.now_ms += 1
    world.feed(review(prediction(request(held_out_id(0))), review_id="again"))
    newest = [held_out_id(n) for n in (0, 4, 3)]
    world.sell_many(4)
    assert listings(begun(world), "heldout") == newest
    world.train(K.REJECTED)
    world.sell_many(4, "m")
    event = begun(world)
    assert listings(event, "heldout") == newest
    assert Path(event.files[1].path).name == "default-r2-heldout.parquet"
    assert world.rows("SELECT DISTINCT role FROM store.used") == [("train",)]
    world.pool.close()


def test_any_adapters_answer_will_do_and_a_listing_is_there_once(world: World) -> None:
    asked = request(held_out_id(0))
    answers = [prediction(asked, adapter_hash="one")]
    again = request(held_out_id(0), request_id="again")
    answers.append(prediction(again, adapter_hash="two", prediction_id="other"))
    world.feed(asked, again, *answers, review(answers[0]))
    world.to_hold_out = 0
    assert heldout.count(world.pool.con) == 1
    world.sell_many(4)
    assert listings(begun(world), "heldout") == [held_out_id(0)]


@pytest.mark.slow
def test_what_was_trained_on_judges_nothing_when_the_share_grows(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.sell_many(4)
    begun(world)
    world.train(K.REJECTED)
    for number in range(30):
        sell_titled(world, f"m{number}", title=listing_sha256(str(number)))
    world.settings = world.settings.model_copy(update={"heldout_share": 0.5})
    world.reopen()
    half = {f"m{n}" for n in range(30) if is_held_out(f"m{n}", 0.5)}
    assert 5 < len(half) < 25
    assert heldout.count(world.pool.con) == len(half) + 1
    event = begun(world)
    assert set(listings(event, "heldout")) == half | {held_out_id(0)}
    assert not half & set(listings(event, "train"))
    world.pool.close()


def test_the_pool_keeps_them_however_small_their_deficit(world: World) -> None:
    for day in range(4):
        world.now_ms = START_MS + day * DAY_MS
        world.sell(held_out_id(day), filled=4)
        world.sell(f"l{day}")
    selection.prune(world.pool.con, "deficit", 3, 100 * DAY_MS, heldout_most=2)
    kept = {row[0] for row in world.rows("SELECT listing_id FROM store.samples")}
    assert kept == {held_out_id(2), held_out_id(3), "l3"}
    selection.prune(world.pool.con, "deficit", 3, DAY_MS - 1, heldout_most=2)
    assert world.rows("SELECT count(*) FROM store.samples WHERE held_out") == [(1,)]


def test_a_file_from_before_listings_were_held_out_is_opened(world: World) -> None:
    world.hold_out(2)
    world.sell("l0")
    world.pool.con.execute("UPDATE store.samples SET held_out = NULL")
    world.pool.con.execute("DELETE FROM store.meta WHERE name = 'heldout_bound'")
    world.pool.con.execute("INSERT INTO store.used VALUES ('l0', 1, 'validation')")
    world.reopen()
    assert world.rows("SELECT held_out, count(*) FROM store.samples GROUP BY ALL ORDER BY 1") == [
        (False, 1),
        (True, 2),
    ]
    assert world.rows("SELECT listing_id FROM pool") == [("l0",)]  # nothing was trained on it


# ------------------------------------------------------------------------------ too few of them


def test_a_round_waits_until_enough_can_judge_it(tmp_path: Path) -> None:
    world = World(tmp_path, held_out=2, heldout_least=3)
    world.sell_many(4)
    assert world.step() == []
    assert world.conductor.status() == "collecting 4/4 · judging needs 3 held-out listings, has 2"
    assert world.rows("SELECT held_out, held_out_needed FROM status") == [(2, 3)]
    world.hold_out(1)
    assert len(listings(begun(world), "heldout")) == 3
    world.pool.close()


def test_a_persons_wish_for_a_round_that_nobody_could_judge_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, heldout_least=3)
    world.sell_many(4)
    world.say(K.RETRAIN_REQUESTED)
    assert world.step() == []
    assert "judging needs 3 held-out listings and 1 are reviewed; ask again when" in caplog.text
    assert world.rows("FROM store.wishes") == []
    world.pool.close()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5])
def test_a_share_that_leaves_nothing_to_judge_or_to_train_on_is_refused(share: float) -> None:
    with pytest.raises(ValidationError, match=r"take a share between them, such as 0\.2"):
        StreamsSettings(heldout_share=share)


def test_more_at_least_than_at_most_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"no round would ever begin; lower this one"):
        StreamsSettings(heldout_most=39)


# ------------------------------------------------------------------------------------- forgetting


def test_a_forgotten_one_leaves_the_files_that_it_judged_by(world: World) -> None:
    [gone, kept] = world.hold_out(2)
    world.to_hold_out = 0
    world.sell_many(4)
    event = begun(world)
    world.forget(gone)
    said = [e for e in world.step() + world.step() if isinstance(e, ListingForgotten)]
    assert [(e.listing_sha256, e.rounds) for e in said] == [(listing_sha256(gone), [])]
    path = event.files[1].path
    assert duckdb.sql(f"SELECT listing_id FROM '{path}'").fetchall() == [(kept,)]
    world.train(K.PROPOSED)
    assert world.rows("SELECT adapters FROM forgotten") == [([],)]  # none has learnt it
    assert heldout.count(world.pool.con) == 1
