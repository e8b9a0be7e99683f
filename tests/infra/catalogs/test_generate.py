"""The generated catalog: the same for a seed, legal, half told, and free of contradictions."""

import hashlib
import re
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.catalogs.catalog import Product
from infra.catalogs.generate import generate
from infra.catalogs.grouping import together
from infra.catalogs.vocabulary import Category, Topic, load_vocabulary, put, with_articles
from schemas.category import AttributeType
from schemas.values import format_answer, is_valid, parse_answer

CATEGORIES = {category.name: category for category in load_vocabulary().categories}
SCHEMAS, PRODUCTS = generate(7, 360)


@cache
def sayings(category: str) -> list[tuple[str, str, re.Pattern[str]]]:
    """Attribute, value and a pattern of each way in which a text of the category can say it."""
    return [
        (topic.attribute.name, word.value, as_words(put(template, way)))
        for topic in CATEGORIES[category].topics
        for word in topic.words
        for way in word.ways
        for template in topic.say
    ]


def as_words(phrase: str) -> re.Pattern[str]:
    """A pattern that finds `phrase` as whole words."""
    return re.compile(rf"(?<![\w.-]){re.escape(phrase.casefold().rstrip('.'))}(?![\w-])")


def is_told(topic: Topic, product: Product) -> bool:
    """Whether the text says all of the product's values of the topic, in one way or another."""
    text = f"{product.title} {product.description}".casefold()
    values = product.truth[topic.attribute.name]
    return all(any(as_words(w).search(text) for w in ways) for ways in topic.phrases(values))


def test_there_are_enough_categories_of_the_promised_sizes() -> None:
    sizes = sorted(len(schema.attributes) for schema in SCHEMAS.values())
    assert len(sizes) >= 12
    assert 20 <= sizes[0] <= sizes[-1] <= 60
    assert sum(size >= 40 for size in sizes) in (1, 2)
    assert sum(sizes) / len(sizes) <= 26


def test_every_kind_of_attribute_is_asked_for() -> None:
    attributes = [a for schema in SCHEMAS.values() for a in schema.attributes]
    assert {a.type for a in attributes} == set(AttributeType)
    assert any(a.multi_value for a in attributes)
    assert any(a.units for a in attributes)
    assert any(len(a.values) > 12 for a in attributes)


def test_every_product_has_its_full_truth_and_all_of_it_is_legal_and_reads_back() -> None:
    for product in PRODUCTS:
        attributes = product.attributes(SCHEMAS)
        assert product.truth.keys() == {a.name for a in attributes}
        for attribute in attributes:
            values = product.truth[attribute.name]
            assert is_valid(attribute, values)
            assert parse_answer(attribute, format_answer(values)) == values


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_text_never_says_a_value_that_is_not_the_truth(seed: int) -> None:
    _, products = generate(seed, len(CATEGORIES))
    for product in products:
        text = product.description.casefold()
        for name, value, pattern in sayings(product.category):
            assert value in product.truth[name] or not pattern.search(text), (name, value, text)


@pytest.mark.parametrize("category", CATEGORIES.values(), ids=lambda category: category.name)
def test_no_two_attributes_of_a_category_are_told_in_the_same_words(category: Category) -> None:
    told: dict[str, str] = {}
    for topic in category.topics:
        for way in {put(t, w) for word in topic.words for w in word.ways for t in topic.say}:
            assert told.setdefault(way, topic.attribute.name) == topic.attribute.name, way


def test_texts_tell_about_half_of_the_truth() -> None:
    told = [is_told(t, p) for p in PRODUCTS for t in CATEGORIES[p.category].topics]
    assert 0.45 < sum(told) / len(told) < 0.58


def test_texts_are_complete_sentences_of_varied_length() -> None:
    lengths = sorted(len(f"{p.title} {p.description}") for p in PRODUCTS)
    assert lengths[0] > 100
    assert lengths[-1] < 1000
    for product in PRODUCTS:
        assert "{" not in product.title + product.description
        assert "  " not in product.title + product.description
        assert not re.search(r"[,|(-]\s*$|\(\)|^[,|)-]", product.title), product.title
        assert product.description.endswith((".", "?"))


def test_titles_differ_so_that_hardly_any_product_is_a_copy_of_another() -> None:
    assert len({p.title for p in PRODUCTS}) > 0.98 * len(PRODUCTS)
    assert len(together(PRODUCTS)) > 0.95 * len(PRODUCTS)
    assert len({p.description for p in PRODUCTS}) == len(PRODUCTS)


def test_every_category_arrives_equally_often() -> None:
    names = [product.category for product in PRODUCTS]
    assert {names.count(name) for name in CATEGORIES} == {len(PRODUCTS) // len(CATEGORIES)}


def test_the_same_seed_gives_the_same_bytes_in_a_fresh_process() -> None:
    code = (
        "import hashlib; from infra.catalogs.generate import generate;"
        "print(hashlib.sha256(repr(generate(7, 36)[1]).encode()).hexdigest())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = hashlib.sha256(repr(generate(7, 36)[1]).encode()).hexdigest()
    assert told.stdout.strip() == here


def test_a_longer_catalog_begins_like_a_shorter_one_and_another_seed_differs() -> None:
    assert generate(7, 40)[1] == PRODUCTS[:40]
    assert generate(8, 40)[1] != PRODUCTS[:40]
    assert dict(generate(8, 0)[0]) == dict(SCHEMAS)


def test_articles_follow_the_sound() -> None:
    assert with_articles("a E27 thread, an one-piece frame, a upright collar") == (
        "an E27 thread, a one-piece frame, an upright collar"
    )
    assert with_articles("an USB-C plug, a 18 V drive, an 20 W bulb, a emerald look") == (
        "a USB-C plug, an 18 V drive, a 20 W bulb, an emerald look"
    )
