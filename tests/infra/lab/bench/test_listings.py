"""The listings that the benchmarks work on: of every kind, and the same every time."""

from pathlib import Path

import pytest
from rich.console import Console

from infra.lab.bench.listings import GENERATED, flipkart, full_answer, generated, sets
from infra.lab.bench.serving.workload import prepare
from schemas.category import AttributeType
from schemas.errors import ListuneError
from schemas.values import is_valid


def test_generated_listings_ask_for_50_attributes_of_every_kind() -> None:
    for question in generated(65):
        assert len({a.name for a in question.attributes}) == len(question.attributes) == 50
        assert {a.type for a in question.attributes} == set(AttributeType)
        assert any(a.multi_value for a in question.attributes)
        assert any(len(a.values) > 30 for a in question.attributes)


def test_generated_listings_are_the_same_every_time() -> None:
    assert generated(5) == generated(5) == generated(9)[:5]


def test_a_full_answer_is_legal_and_has_every_attribute() -> None:
    question = generated(1)[0]
    answer = full_answer(question)
    for attribute in question.attributes:
        given = answer[attribute.name]
        values = given if isinstance(given, list) else [given]
        # The plainest value of a pattern is only as long as one, and not always one.
        if attribute.type is not AttributeType.PATTERN or attribute.name in question.truth:
            assert is_valid(attribute, values), attribute.name


def test_the_products_are_140_to_190_tokens_of_the_base_model(base_model: Path) -> None:
    plans = prepare(generated(65), base_model).plans
    lengths = [len(plan.trunk) for plan in plans]
    assert 140 <= min(lengths) <= max(lengths) <= 190
    assert 160 <= sum(lengths) / len(lengths) <= 170


def test_a_set_that_is_not_there_is_said_to_be_left_out(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    assert sets(tmp_path, 2, console).keys() == {GENERATED}
    assert "Left out: there is no Flipkart catalog" in console.export_text()


def test_a_catalog_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ListuneError, match="name it with --flipkart"):
        flipkart(tmp_path, 3)
