"""Which products teach and which judge, and which a round takes."""

from collections.abc import Sequence

import pytest

from infra.catalogs.catalog import CatalogError, Product
from infra.history.choosing import candidates, chosen, judges
from infra.history.parts import Parts, part
from schemas.category import Attribute, AttributeType, CategorySchema, CategorySchemas
from schemas.events import ValueLists
from schemas.heldout import is_held_out
from streams.settings import StreamsSettings

NAMES = ("Color", "Material", "Size", "Shape")
SCHEMAS = CategorySchemas(
    [
        CategorySchema(
            category="Mugs",
            attributes=tuple(Attribute(name=name, type=AttributeType.TEXT) for name in NAMES),
        )
    ]
)
STREAMS = StreamsSettings(k=2, heldout_share=0.5, heldout_least=2)
WORDS = ("red fox", "blue whale", "tall pine", "old clock", "wet stone", "far hill", "hot soup")


def product(
    number: int,
    title: str | None = None,
    truth: ValueLists | None = None,
    cluster: str | None = None,
) -> Product:
    known = {key: ["x"] for key in NAMES} if truth is None else truth
    made = title or f"{WORDS[number % 7]} {number * 7919} {WORDS[(number // 7) % 7]}"
    return Product(f"p{number}", "Mugs", made, "", known, cluster=cluster)


def ids(products: Sequence[Product]) -> set[str]:
    return {product.product_id for product in products}


def parted(products: Sequence[Product], streams: StreamsSettings = STREAMS) -> Parts:
    return part(products, streams, seed=0)


def test_a_product_is_on_the_side_that_the_stream_has_it_on() -> None:
    found = parted([product(number) for number in range(40)])
    assert len(found.teaching) + len(found.judging) + found.between == 40
    assert all(is_held_out(name, 0.5) for name in ids(found.judging))
    assert not any(is_held_out(name, 0.5) for name in ids(found.teaching))


def test_the_order_of_the_catalog_makes_no_difference() -> None:
    products = [product(number) for number in range(40)]
    assert parted(products) == parted(products[::-1])


@pytest.mark.parametrize("alike", ["a title", "a cluster"])
def test_offers_of_one_product_are_on_one_side(alike: str) -> None:
    offers = [
        product(number, title=f"Norvik mug, {number}", cluster=None)
        if alike == "a title"
        else product(number, cluster="one")
        for number in range(10)
    ]
    found = parted([*offers, *(product(number) for number in range(10, 50))])
    of_both = [ids(side) & ids(offers) for side in (found.teaching, found.judging)]
    assert sorted(map(bool, of_both)) == [False, True]
    assert found.between >= 10 - max(map(len, of_both)) > 0


def test_a_product_without_a_legal_value_is_on_neither_side() -> None:
    empty = [product(number, truth={}) for number in range(40, 60)]
    found = parted([*(product(number) for number in range(40)), *empty])
    assert found.without_value == 20
    assert not (ids(found.teaching) | ids(found.judging)) & ids(empty)


def test_a_catalog_without_a_legal_value_is_refused() -> None:
    with pytest.raises(CatalogError, match="none of 5 products has a value that the schema allow"):
        parted([product(number, truth={}) for number in range(5)])


def test_a_catalog_too_small_for_a_round_is_refused_with_what_it_has() -> None:
    with pytest.raises(CatalogError, match=r"can teach .* needs 20 and 2 .* smaller .*--k"):
        parted([product(number) for number in range(10)], STREAMS.model_copy(update={"k": 20}))


def test_an_id_that_no_stream_takes_is_refused() -> None:
    long = Product("x" * 201, "Mugs", "A mug", "", {})
    with pytest.raises(CatalogError, match=r"at most 200 characters.*give another"):
        parted([long])


def answers(products: Sequence[Product], filled: Sequence[int]) -> dict[str, ValueLists]:
    """What a model answered that filled so many attributes of each product."""
    return {
        p.product_id: {key: ["x"] for key in NAMES[:count]}
        for p, count in zip(products, filled, strict=True)
    }


def test_a_round_takes_those_that_the_model_left_most_of() -> None:
    asked = [product(number) for number in range(5)]
    made = chosen(asked, answers(asked, [4, 1, 3, 0, 2]), SCHEMAS, STREAMS, [])
    assert [one.listing_id for one in made.train] == ["p3", "p1"]
    assert [one.deficit for one in made.train] == [1.0, 0.75]


def test_what_leaves_nothing_to_learn_counts_for_no_round() -> None:
    asked = [product(number) for number in range(3)]
    made = chosen(asked, answers(asked, [4, 4, 3]), SCHEMAS, STREAMS, [])
    assert [one.listing_id for one in made.train] == ["p2"]
    most = STREAMS.model_copy(update={"min_gap": 0.3})
    assert not chosen(asked, answers(asked, [4, 4, 3]), SCHEMAS, most, []).train


def test_near_duplicates_of_what_judges_are_passed_over_and_counted() -> None:
    held_out = judges([product(9, title="Norvik mug, large, red")], SCHEMAS, STREAMS)
    asked = [product(1, title="Norvik mug, large, blue"), product(2), product(3)]
    made = chosen(asked, answers(asked, [0, 1, 2]), SCHEMAS, STREAMS, held_out)
    assert [one.listing_id for one in made.train] == ["p2", "p3"]
    assert made.near_held_out == 1


def test_no_more_of_one_product_is_asked_about_than_a_round_takes() -> None:
    offers = [product(number, title=f"Norvik mug, large, {number}") for number in range(6)]
    others = [product(number) for number in range(10, 13)]
    found = candidates([*offers, *others], STREAMS, 4)
    assert [p.product_id for p in found] == ["p0", "p10", "p11", "p12"]
    assert len(candidates(others, STREAMS, 2)) == 2


def test_no_more_judge_than_the_stream_lets_judge() -> None:
    few = STREAMS.model_copy(update={"heldout_most": 3})
    assert len(judges([product(number) for number in range(9)], SCHEMAS, few)) == 3
    offers = [product(number, title=f"Norvik mug, large, {number}") for number in range(6)]
    assert len(judges(offers, SCHEMAS, few)) == 1


def test_of_alternative_spellings_a_round_teaches_the_first() -> None:
    asked = [product(1, truth={"Color": ["crimson", "red"]})]
    made = chosen(asked, answers(asked, [0]), SCHEMAS, STREAMS, [])
    assert made.train[0].submitted == {"Color": ["crimson"]}
    assert made.train[0].origins == {"Color": "typed"}
