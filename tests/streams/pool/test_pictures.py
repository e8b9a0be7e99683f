"""What was seen of a listing: with its sample, in orders and in rounds' files, and forgotten."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.events import (
    ListingForgotten,
    ListingPrediction,
    ListingRequest,
    ModelEventKind,
    Purpose,
    RetrainRequest,
    listing_sha256,
)
from serving.pictures.picture import Picture
from serving.pictures.store import PictureStore
from streams.pool import pictures
from streams.pool.deciding.conductor import Conductor
from streams.replay.fingerprint import take
from tests.streams.world import World, prediction, request, review

FRONT, BACK, OWN = (Picture(name) for name in (b"front", b"back", b"own"))
GONE = "The picture gone.jpg is not got: the file cannot be read."


class Lost(PictureStore):
    """A bucket that is away until it is told to be back."""

    away = True

    def remove(self, sha256: str) -> None:
        if self.away:
            raise ConnectionError("no route to host")
        super().remove(sha256)


@pytest.fixture
def store(world: World, tmp_path: Path) -> PictureStore:
    """The pictures that predict keeps, with all of them; the world's conductor knows it."""
    kept = PictureStore(str(tmp_path / "kept"))
    for picture in (FRONT, BACK, OWN):
        kept.write(picture)
    world.conductor = Conductor(world.pool, kept)
    return kept


def show(world: World, listing: str, *seen: Picture, **changes: Any) -> ListingPrediction:
    """A listing's whole way, whose live answer saw `seen`; `changes` are of its request."""
    asked = request(listing, images=[f"{listing}.jpg"], **changes)
    answer = prediction(asked, pictures=[picture.sha256 for picture in seen])
    world.feed(asked, answer, review(answer))
    return answer


def of_sample(world: World, listing: str) -> list[str]:
    [(pictures,)] = world.rows(f"SELECT pictures FROM store.samples WHERE listing_id = '{listing}'")
    return json.loads(pictures or "[]")


def in_file(event: RetrainRequest) -> dict[str, list[str]]:
    rows = duckdb.sql(f"SELECT listing_id, pictures FROM '{event.files[0].path}'").fetchall()
    return {listing: json.loads(pictures) for listing, pictures in rows}


def begin(world: World) -> RetrainRequest:
    [event] = [event for event in world.step() if isinstance(event, RetrainRequest)]
    return event


# ------------------------------------------------------------------------------ what is learnt from


def test_a_rounds_file_names_what_the_reviewed_answer_saw(world: World) -> None:
    show(world, "both", BACK, FRONT)
    show(world, "alone", OWN, title="", description="")
    show(world, "none")
    world.sell("text")
    assert in_file(begin(world)) == {
        "both": [BACK.sha256, FRONT.sha256],
        "alone": [OWN.sha256],
        "none": [],
        "text": [],
    }


def test_of_two_answers_to_one_text_that_which_was_reviewed_counts(world: World) -> None:
    asked = request("l", images=["l.jpg"])
    again = request("l", images=["l.jpg"], request_id="again")
    first = prediction(asked, pictures=[FRONT.sha256])
    later = prediction(again, pictures=[BACK.sha256])  # its URI gives another picture by now
    world.feed(asked, first, again, later, review(first))
    assert of_sample(world, "l") == [FRONT.sha256]
    world.now_ms += 1
    world.feed(review(later))
    assert of_sample(world, "l") == [BACK.sha256]


def test_where_the_reviewed_answer_saw_none_the_best_that_there_is_counts(world: World) -> None:
    asked = request("l", images=["l.jpg"])
    again = request("l", images=["l.jpg"], request_id="again")
    reviewed = prediction(asked, notes=[GONE])
    world.feed(asked, reviewed, review(reviewed))
    assert of_sample(world, "l") == []
    world.feed(again, prediction(again, pictures=[FRONT.sha256]))
    assert of_sample(world, "l") == [FRONT.sha256]


def test_orders_name_what_the_live_answer_saw(world: World) -> None:
    world.sell_many(4, "first")
    begin(world)
    show(world, "seen", BACK, FRONT)
    world.train(ModelEventKind.PROPOSED)
    world.step()
    world.step()
    [order] = [order for order in world.orders if order.listing_id == "seen"]
    assert isinstance(order, ListingRequest)
    assert (order.purpose, order.pictures) == (Purpose.BACKFILL, [BACK.sha256, FRONT.sha256])
    # Its answer lost one: the sample still has what the seller's answer saw.
    champion = world.conductor.champion()
    answer = prediction(order, adapter_hash=champion.hash, adapter_id=champion.id)
    world.feed(answer.model_copy(update={"pictures": [BACK.sha256], "notes": ["lost"]}))
    measured = world.rows(
        "SELECT pictures FROM store.samples WHERE listing_id = 'seen' ORDER BY purpose"
    )
    assert [json.loads(row[0]) for row in measured] == [[BACK.sha256, FRONT.sha256]] * 2


def test_listings_without_a_text_are_alike_where_their_pictures_are_the_same(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "alike", max_share_per_group=0.25, k=3)  # one of a group
    for number in range(3):
        show(world, f"same{number}", OWN, title="", description="")
    show(world, "other", FRONT, title="", description="")
    assert {listing[:4] for (listing,) in world.rows("SELECT listing_id FROM main.pool")} == {
        "same",
        "othe",
    }
    assert [event for event in world.step() if isinstance(event, RetrainRequest)] == []
    show(world, "third", BACK, title="", description="")
    assert set(in_file(begin(world))) == {"same0", "other", "third"}
    world.pool.close()


def test_listings_with_neither_a_text_nor_a_picture_are_not_one_group(tmp_path: Path) -> None:
    world = World(tmp_path / "alike", max_share_per_group=0.25, k=3)
    for number in range(3):
        show(world, f"l{number}", title="", description="")
    assert len(in_file(begin(world))) == 3
    world.pool.close()


def test_one_that_shows_what_a_held_out_one_shows_and_nothing_else_is_not_taken(
    world: World,
) -> None:
    held_out = world.hold_out(1)[0]
    world.to_hold_out = 0
    asked = request(held_out, title="", description="", request_id="picture")
    world.now_ms += 1
    answer = prediction(asked, pictures=[OWN.sha256])
    world.feed(asked, answer, review(answer))
    show(world, "same", OWN, title="", description="")
    world.sell_many(4)
    event = begin(world)
    assert "same" not in in_file(event)
    assert event.near_held_out == 1


def test_whatever_order_the_topics_are_read_in_the_pool_is_the_same(
    world: World, tmp_path: Path
) -> None:
    show(world, "both", BACK, FRONT)
    show(world, "alone", OWN, title="", description="")
    asked = request("noted", images=["gone.jpg"])
    noted = prediction(asked, notes=[GONE])
    world.feed(asked, noted, review(noted))
    starts = dict.fromkeys(world.pool.watermarks(), 0)
    live = take(world.rows, starts)
    shown = world.rows("FROM store.pictures ORDER BY ALL")
    for name, by in {
        "answers last": "listing.predictions",
        "asked last": "listing.requests",
    }.items():
        other = World(tmp_path / name)
        for record in sorted(world.fed, key=lambda record, last=by: record.topic == last):
            other.pool.apply([record])
        assert take(other.rows, starts).tables(()) == live.tables(()), name
        assert other.rows("FROM store.pictures ORDER BY ALL") == shown
        other.pool.close()


def test_the_view_shows_what_was_seen_and_why_not_all_was(world: World) -> None:
    asked = request("l", images=["l.jpg"])
    world.feed(asked, prediction(asked, pictures=[FRONT.sha256], notes=[GONE]))
    world.sell("text")
    assert world.rows("SELECT listing_id, pictures, notes FROM main.pictures") == [
        ("l", json.dumps([FRONT.sha256]), json.dumps([GONE]))
    ]


def test_a_file_from_before_pictures_gets_the_columns_and_its_samples_stay(world: World) -> None:
    world.sell("l")
    for table, columns in {"predictions": ("pictures", "notes"), "samples": ("pictures",)}.items():
        for column in columns:
            world.pool.con.execute("DROP VIEW IF EXISTS main.pictures")
            world.pool.con.execute(f"ALTER TABLE store.{table} DROP COLUMN {column}")
    world.pool.con.execute("DROP TABLE store.pictures")
    world.reopen()
    assert of_sample(world, "l") == []
    show(world, "new", FRONT)
    assert of_sample(world, "new") == [FRONT.sha256]


# --------------------------------------------------------------------------------------- forgetting


def forget(world: World, listing: str) -> None:
    world.forget(listing)
    world.step()
    world.step()


def test_a_forgotten_listings_own_picture_goes_and_a_shared_one_stays(
    world: World, store: PictureStore
) -> None:
    show(world, "gone", FRONT, OWN)
    show(world, "kept", FRONT, BACK)
    forget(world, "gone")
    assert set(store.hashes()) == {FRONT.sha256, BACK.sha256}
    forget(world, "kept")
    assert set(store.hashes()) == set()


def test_one_that_the_pool_has_let_go_of_is_forgotten_too(
    world: World, store: PictureStore
) -> None:
    show(world, "gone", OWN)
    for table in ("requests", "predictions", "reviews", "samples"):  # as `prune` does
        world.pool.con.execute(f"DELETE FROM store.{table} WHERE listing_id = 'gone'")
    forget(world, "gone")
    assert OWN.sha256 not in set(store.hashes())


def test_one_that_only_a_rounds_file_knows_is_forgotten_too(
    world: World, store: PictureStore
) -> None:
    show(world, "l0", OWN)
    for number in range(1, 4):
        world.sell(f"l{number}")
    begin(world)
    world.pool.con.execute("DELETE FROM store.pictures")  # a rebuild from topics that lost it
    forget(world, "l0")
    assert OWN.sha256 not in set(store.hashes())


def test_what_a_request_under_way_keeps_of_a_forgotten_listing_goes_again(
    world: World, store: PictureStore
) -> None:
    show(world, "gone", OWN)
    forget(world, "gone")
    store.write(OWN)  # predict looked at it before it was forgotten, and answers after
    asked = request("gone", request_id="late")
    world.feed(prediction(asked, pictures=[OWN.sha256]))
    assert OWN.sha256 in set(store.hashes())
    said = [event for event in world.step() if isinstance(event, ListingForgotten)]
    assert OWN.sha256 not in set(store.hashes())
    assert said == []  # it was answered the first time


def test_a_store_that_is_away_is_tried_again_later_and_nothing_else_waits(
    world: World, store: PictureStore, tmp_path: Path
) -> None:
    away = Lost(str(tmp_path / "kept"))
    world.conductor = Conductor(world.pool, away)
    show(world, "gone", OWN)
    forget(world, "gone")
    assert OWN.sha256 in set(store.hashes())
    assert world.rows("SELECT settled FROM store.forgotten") == [(False,)]
    away.away = False
    world.step()
    assert OWN.sha256 in set(store.hashes())  # not at once: each try may take its time
    world.now_ms += round(1000 * pictures.STORE_AWAY_S)
    world.step()
    assert OWN.sha256 not in set(store.hashes())
    assert world.rows("SELECT settled FROM store.forgotten") == [(True,)]


def test_many_pictures_of_a_slow_store_go_a_few_a_tick(
    world: World, store: PictureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "REMOVING_S", 0.0)  # one, and the time is over
    show(world, "gone", FRONT, BACK, OWN)
    left = []
    world.forget("gone")
    for _ in range(5):
        world.step()
        left.append(len(set(store.hashes())))
    assert left == [3, 2, 1, 0, 0]
    assert world.rows("SELECT settled FROM store.forgotten") == [(True,)]


def test_what_is_kept_of_who_showed_what_does_not_name_a_listing(world: World) -> None:
    show(world, "gone", OWN)
    assert world.rows("FROM store.pictures") == [(listing_sha256("gone"), OWN.sha256)]
