"""What the demo asks before it starts: whether anything could be learnt."""

import hashlib

from infra.catalogs.catalog import Product
from infra.checkup.learnable import MOST_COMPARED, apart, compared, why_not

RED = {"Colour": ["red"]}


def product(number: int, title: str, truth: dict[str, list[str]] = RED) -> Product:
    return Product(f"p{number}", "Mugs", title, "", truth)


def own_name(number: int) -> str:
    """A title that is like no other."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:20]


UNLIKE = [product(n, own_name(n)) for n in range(60)]
VARIANTS = [product(n, f"{own_name(n // 40)} mug no. {n % 40}") for n in range(400)]


def test_products_that_are_unlike_each_other_can_teach() -> None:
    assert why_not(UNLIKE, 0.2, rounds=2) is None


def test_three_hundred_products_without_a_legal_value_teach_nothing() -> None:
    blank = [product(n, own_name(n), {}) for n in range(300)]
    said = why_not(blank, 0.2, rounds=2, refused="line 1, attribute 'Colour': no such colour")
    assert said is not None
    assert "none of the 300 products has a value that the schema takes" in said
    assert "line 1, attribute 'Colour'" in said


def test_ten_products_in_forty_variants_teach_nothing() -> None:
    said = why_not(VARIANTS, 0.2, rounds=2)
    assert said is not None
    assert "of the 400 products none could be trained on" in said
    assert "add other products" in said


def test_a_product_is_apart_where_it_has_a_value_and_no_held_out_one_is_like_it() -> None:
    assert 0 < len(list(apart(UNLIKE, 0.2))) < len(UNLIKE)
    assert list(apart([product(n, own_name(n), {}) for n in range(60)], 0.2)) == []
    assert list(apart(VARIANTS, 0.2)) == []


def test_of_very_many_products_an_even_part_is_compared() -> None:
    many = [UNLIKE[0]] * (MOST_COMPARED * 2 + 2)
    assert MOST_COMPARED / 2 < len(compared(many)) <= MOST_COMPARED
    assert compared(UNLIKE) == UNLIKE
    assert list(compared([])) == []
