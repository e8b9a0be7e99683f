"""A catalog as sellers send it: in the shares of the paper, by each product's id alone."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from infra.catalogs.catalog import Product
from infra.catalogs.inputs import PAPER, drawn, mixed, mixed_rows, views
from schemas.heldout import is_held_out
from tests.builders import make_rows
from trainer.data.dataset import Row
from trainer.judging.evaluate import inputs_of

PRODUCTS = [Product(f"p{n}", "Mugs", f"mug {n}", "", {}, ("a.jpg",)) for n in range(4000)]


def sent(product: Product) -> str:
    return "+".join(
        name for name, there in (("text", product.title), ("image", product.images)) if there
    )


def pictured(count: int) -> list[Row]:
    return [replace(row, pictures=("a" * 64,)) for row in make_rows(count)]


def test_text_picture_or_both_come_in_the_shares_of_the_paper() -> None:
    assert sum(PAPER.values()) == pytest.approx(1)
    counts = Counter(sent(product) for product in mixed(PRODUCTS))
    for inputs, share in PAPER.items():
        assert counts[inputs] / len(PRODUCTS) == pytest.approx(share, abs=0.025)


def test_what_is_sent_of_a_product_depends_on_nothing_but_its_id() -> None:
    places = random.Random(0).sample(range(len(PRODUCTS)), 500)
    all_of_them = mixed(PRODUCTS)
    assert mixed(PRODUCTS[n] for n in places) == [all_of_them[n] for n in places]


def test_held_out_or_not_the_shares_are_the_same() -> None:
    held_out = [p for p in PRODUCTS if is_held_out(p.product_id, 0.3)]
    counts = Counter(sent(product) for product in mixed(held_out))
    for inputs, share in PAPER.items():
        assert counts[inputs] / len(held_out) == pytest.approx(share, abs=0.05)


def test_a_product_without_a_picture_stays_a_text_and_one_without_a_text_a_picture() -> None:
    texts = [replace(product, images=()) for product in PRODUCTS[:50]]
    silent = [replace(product, title="") for product in PRODUCTS[:50]]
    assert mixed(texts) == texts
    assert mixed(silent) == silent


def test_rows_are_mixed_as_their_products_are() -> None:
    rows = pictured(200)
    expected = [drawn(row.listing.listing_id) for row in rows]
    assert [inputs_of(row) for row in mixed_rows(rows)] == expected
    assert set(expected) == set(PAPER)
    assert mixed_rows(make_rows(5)) == make_rows(5)


def test_the_views_of_a_row_are_one_product_seen_in_three_ways() -> None:
    row = pictured(1)[0]
    made = views(row)
    assert {inputs: inputs_of(view) for inputs, view in made.items()} == {i: i for i in PAPER}
    assert {view.listing.listing_id for view in made.values()} == {row.listing.listing_id}
    assert {tuple(view.values) for view in made.values()} == {tuple(row.values)}
    assert made["text"].listing.title == row.listing.title
    assert made["image"].pictures == row.pictures
