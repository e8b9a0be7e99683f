"""How much of a round may be of one seller, one category or one product."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from schemas.category import CategorySchemas
from schemas.events import ModelEventKind, RetrainRequest
from schemas.heldout import is_held_out
from schemas.identity import listing_key
from streams.pool.deciding import selection, trigger
from streams.pool.spread import Shares
from tests.streams.pool.test_heldout import begun, listings
from tests.streams.world import LAMP, World, held_out_id, prediction, request, review

K = ModelEventKind
SPAM = "BUY NOW cheap pills"


def title(number: int) -> str:
    """Of an honest listing: like no other's."""
    return "".join(random.Random(number).sample("abcdefghijklmnopqrstuvwxyz", 20))


def way(listing: str, text: str, filled: int = 0, **changes: Any) -> Iterator[Any]:
    """A listing's whole way; `changes` are of its request."""
    asked = request(listing, **{"title": text, **changes})
    answer = prediction(asked, filled)
    yield from (asked, answer, review(answer))


def sell(world: World, *ways: Iterator[Any]) -> None:
    """The whole ways of listings in one micro-batch."""
    world.feed(*chain.from_iterable(ways))


@pytest.fixture
def spread(tmp_path: Path) -> Iterator[World]:
    """A world in which a round takes one in ten of a seller and one of a product."""
    made = World(tmp_path, k=20, max_share_per_group=0.01)
    yield made
    made.pool.close()


def keys(event: RetrainRequest, role: str = "train") -> list[str]:
    """The `listing_key`s in a file of the round."""
    return listings(event, role)


@pytest.mark.parametrize("seller", ["spammer", None])
def test_sixty_honest_listings_are_not_displaced_by_twenty_two_of_a_spammer(
    tmp_path: Path, seller: str | None
) -> None:
    """The spammer fills in every attribute, so that all its deficits are the largest."""
    world = World(
        tmp_path, held_out=0, k=22, heldout_share=0.1, heldout_least=2, heldout_most=2,
        max_share_per_group=0.01,
    )  # fmt: skip
    sell(world, *(way(f"honest{n}", title(n), filled=2, seller_id=f"seller{n}") for n in range(60)))
    key = (seller + "\x1f" if seller else "") + "spam"
    judging = [i for i in range(200) if is_held_out(f"{key}{i}", 0.1)][:2]
    teaching = [i for i in range(200) if not is_held_out(f"{key}{i}", 0.1)][:20]
    world.now_ms += 1
    sell(world, *(way(f"spam{n}", SPAM, seller_id=seller) for n in (*teaching, *judging)))
    event = begun(world)
    assert event.k == 22
    assert sum("spam" in key for key in keys(event)) == 0  # one of them judges
    assert event.near_held_out + event.over_share >= 20
    assert sum("spam" in key for key in keys(event, "heldout")) == 1
    assert world.rows("SELECT over_share FROM rounds") == [(event.over_share,)]
    world.pool.close()


@pytest.mark.parametrize("text", ["{}", "{} - colour {}"])
def test_offers_of_one_product_do_not_fill_a_round(spread: World, text: str) -> None:
    """With the same title, or nearly the same."""
    world = spread
    name = "Acme desk lamp with a long arm"
    offers = (way(f"offer{n}", text.format(name, n), seller_id=f"s{n}") for n in range(22))
    sell(world, *offers)
    for _ in range(3):
        assert world.step() == []
    said = "collecting 1/20 · 21 passed over, beyond the share of one seller, category or product"
    assert world.conductor.status() == said
    sell(world, *(way(f"other{n}", title(n), filled=1) for n in range(19)))
    event = begun(world)
    assert sum("offer" in key for key in keys(event)) == 1
    assert len(keys(event)) == 20


def test_texts_that_differ_in_case_space_and_punctuation_are_counted_as_one_at_each_tick(
    spread: World,
) -> None:
    sell(
        spread,
        *(
            way(f"l{n}", text)
            for n, text in enumerate(("Red  lamp, 30 cm", "RED LAMP 30cm", "Ｒed lamp (30 cm)!"))
        ),
    )
    assert spread.tick() == []
    assert spread.conductor.status().startswith("collecting 1/20 · 2 passed over")
    assert spread.rows("SELECT listing_id FROM pool") == [("l0",)]
    assert spread.rows("SELECT fresh FROM status") == [(1,)]


def test_one_seller_has_at_most_its_share_and_whoever_names_none_is_not_counted(
    spread: World,
) -> None:
    sell(spread, *(way(f"big{n:02}", title(n), seller_id="big") for n in range(30)))
    sell(spread, *(way(f"small{n:02}", title(100 + n), filled=1) for n in range(18)))
    event = begun(spread)
    assert sorted(keys(event))[:2] == ["big\x1fbig00", "big\x1fbig01"]
    assert len(keys(event)) == 20
    assert event.over_share == 28


def test_where_too_few_sellers_are_there_the_round_waits_and_says_so(spread: World) -> None:
    sell(spread, *(way(f"l{n}", title(n), seller_id=f"s{n % 4}") for n in range(40)))
    assert spread.tick() == []
    said = "collecting 8/20 · 32 passed over, beyond the share of one seller, category or product"
    assert spread.conductor.status() == said
    assert spread.rows("SELECT seller_id, count(*) FROM pool GROUP BY ALL ORDER BY 1") == [
        ("s0", 2), ("s1", 2), ("s2", 2), ("s3", 2)
    ]  # fmt: skip


def test_one_category_has_at_most_its_share(tmp_path: Path) -> None:
    world = World(tmp_path, max_share_per_category=0.5)
    world.schemas = CategorySchemas([LAMP, LAMP.model_copy(update={"category": "Torches"})])
    world.pool.take_schemas(world.schemas)
    sell(world, *(way(f"lamp{n}", title(n)) for n in range(6)))
    assert world.step() == []
    assert world.conductor.status().startswith("collecting 2/4 · 4 passed over")
    sell(world, *(way(f"torch{n}", title(n), filled=2, category="Torches") for n in range(2)))
    assert keys(begun(world)) == ["lamp0", "lamp1", "torch0", "torch1"]
    world.pool.close()


def test_sellers_that_are_capped_do_not_cost_others_the_places_of_their_text(
    spread: World,
) -> None:
    """A seller copies the title of an honest one, and has used its share up before."""
    sell(spread, *(way(f"a{n:02}", title(n), seller_id="greedy") for n in range(30)))
    sell(spread, way("b", title(100), seller_id="greedy", filled=1))
    sell(spread, way("c", title(100), seller_id="honest", filled=2))
    taken = spread.rows("SELECT seller_id, listing_id FROM pool ORDER BY rank")
    assert taken == [("greedy", "a00"), ("greedy", "a01"), ("honest", "c")]
    assert spread.tick() == []
    assert spread.conductor.status().startswith("collecting 3/20")


def test_what_judges_is_spread_too_and_counts_only_as_far(tmp_path: Path) -> None:
    world = World(tmp_path, held_out=0, heldout_least=3, max_share_per_group=0.01)
    sell(world, *(way(f"l{n}", title(n)) for n in range(100, 104)))
    sell(world, *(way(held_out_id(n), SPAM) for n in range(5)))
    assert world.step() == []
    assert world.conductor.status() == "collecting 4/4 · judging needs 3 held-out listings, has 1"
    sell(
        world, *(way(held_out_id(n), f"Acme desk lamp with a long arm, colour {n}") for n in (5, 6))
    )
    for _ in range(2):
        assert world.step() == []
    assert world.conductor.status() == "collecting 4/4 · judging needs 3 held-out listings, has 2"
    sell(world, way(held_out_id(7), title(7)))
    world.now_ms += 60_000
    judges = keys(begun(world), "heldout")
    assert len(judges) == 3
    assert {held_out_id(0), held_out_id(7)} < set(judges)
    world.pool.close()


def test_without_titles_equal_descriptions_are_one_group(spread: World) -> None:
    text = {"description": "A brass lamp, 30 cm high."}
    judge = {"description": "A lamp of jade, 20 cm high."}
    sell(spread, way(held_out_id(0), "", **judge))
    spread.to_hold_out = 0
    sell(spread, *(way(f"same{n}", "", **text) for n in range(5)), way("judged", "", **judge))
    sell(spread, *(way(f"other{n}", title(n), filled=1) for n in range(19)))
    event = begun(spread)
    assert [key for key in keys(event) if "other" not in key] == ["same0"]
    assert (event.near_held_out, event.over_share) == (1, 4)


def test_a_person_is_told_that_too_few_different_ones_can_judge(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, held_out=0, heldout_least=2, max_share_per_group=0.01)
    sell(world, *(way(f"l{n}", title(n)) for n in range(2)))
    sell(
        world, *(way(held_out_id(n), f"Acme desk lamp with a long arm, colour {n}") for n in (5, 6))
    )
    world.say(K.RETRAIN_REQUESTED)
    assert world.step() == world.step() == []
    assert "judging needs 2 held-out listings and 1 are reviewed" in caplog.text
    world.pool.close()


def test_what_is_beyond_a_share_is_not_measured_again_before_others(spread: World) -> None:
    sell(spread, *(way(f"big{n:02}", title(n), seller_id="big") for n in range(60)))
    sell(spread, *(way(f"small{n:02}", title(100 + n), filled=1) for n in range(25)))
    begun(spread)
    spread.train(K.PROPOSED)
    spread.step()
    ordered = Counter(order.seller_id for order in spread.step())
    assert ordered == {"big": 2, None: 7}


def test_a_share_of_one_is_no_limit_and_one_listing_is_always_allowed() -> None:
    assert Shares().of(10).by_column() == {}
    assert Shares(seller=0.1, group=0.01).of(30).by_column() == {"seller_id": 3, "text_group": 1}


def test_in_a_large_pool_what_is_beyond_a_share_is_counted_now_and_then(
    spread: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trigger, "SMALL", 0)
    sell(spread, *(way(f"a{n}", SPAM) for n in range(3)))
    said = "collecting {}/20 · {} passed over, beyond the share of one seller, category or product"
    spread.tick()
    assert spread.conductor.status() == said.format(1, 2)
    sell(spread, *(way(f"b{n}", SPAM) for n in range(3)))
    spread.tick()
    assert spread.conductor.status() == said.format(4, 2)
    spread.now_ms += trigger.COUNTED_EVERY_MS
    spread.tick()
    assert spread.conductor.status() == said.format(1, 5)


def test_one_seller_does_not_push_the_others_out_of_a_full_pool(spread: World) -> None:
    sell(spread, *(way(f"a{n}", title(n), seller_id=f"s{n}", filled=2) for n in range(5)))
    sell(spread, *(way(f"b{n}", title(10 + n), seller_id="flood") for n in range(20)))
    shares = Shares(seller=0.5)
    selection.prune(spread.pool.con, "deficit", 10, 10**12, 1, shares)
    kept = Counter(row[0] for row in spread.rows("SELECT seller_id = 'flood' FROM samples"))
    assert kept == {True: 5, False: 5}


@pytest.mark.parametrize("seed", range(4))
def test_the_best_that_have_a_place_are_taken_and_no_more_than_are_counted(
    tmp_path: Path, seed: int
) -> None:
    """As one would by hand: best first, each if its seller, its category and its text have room."""
    rng = random.Random(seed)
    shares = Shares(seller=0.2, category=0.6, group=0.1)
    world = World(tmp_path, k=20)
    torch = LAMP.model_copy(update={"category": "Torches"})
    world.pool.take_schemas(CategorySchemas([LAMP, torch]))
    offers = {
        f"l{n:03}": {
            "seller_id": rng.choice(["a", "b", "c", "d", "e", "f", None]),
            "category": rng.choice(["Lamps", "Lamps", "Torches"]),
            "text": title(rng.randrange(15)),
            "filled": rng.randrange(4),
        }
        for n in range(80)
    }
    sell(world, *(way(listing, **offer) for listing, offer in offers.items()))
    ranked = sorted(offers.items(), key=lambda item: (item[1]["filled"], key_of(*item)))
    limits, taken, wanted = {"seller_id": 4, "category": 12, "text": 2}, Counter[Any](), []
    for listing, offer in ranked:
        kinds = [(c, offer["category"] if c == "text" else None, offer[c]) for c in limits]
        kinds = [kind for kind in kinds if kind[2] is not None]
        if len(wanted) < 20 and all(taken[kind] < limits[kind[0]] for kind in kinds):
            taken.update(kinds)
            wanted.append(key_of(listing, offer))
    by = (world.pool.con, "base")
    found = selection.select(*by, 20, "deficit", 0.0, 1, shares)
    assert [row.listing_id for row in found.train] == wanted
    counted = selection.fresh_count(*by, "deficit", 0.0, shares.of(20))
    assert counted.all == 80
    assert len(wanted) <= counted.within < 80
    world.pool.close()


def key_of(listing: str, offer: dict[str, Any]) -> str:
    return listing_key(listing, offer["seller_id"])
