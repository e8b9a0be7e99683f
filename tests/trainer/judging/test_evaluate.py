"""Metrics counted by hand on hand-made answers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.events import ValueLists, listing_sha256
from serving.generation import GenerationRequest, GenerationResult
from serving.settings import ServingSettings
from tests.builders import evaluated, make_rows
from trainer.data.dataset import Row, question_hash
from trainer.judging.evaluate import (
    Evaluation,
    EvaluationKey,
    score,
)
from trainer.judging.evaluation_store import Answered, AnswerStore, EvaluationStore

KEY = EvaluationKey.of("a" * 64, "b" * 64, "c" * 64, ServingSettings())


def answer(values: ValueLists, seconds: float = 1.0, **invalid: str) -> GenerationResult:
    return GenerationResult(
        values=values,
        invalid=invalid,
        confidence={},
        adapter_id="default-r1-a1",
        adapter_hash="a" * 64,
        batches=1,
        forward_passes=1,
        tokens_computed=1,
        logits_computed=1,
        seconds=seconds,
    )


class Answers:
    """A generator that answers from a function."""

    def __init__(self, of: Callable[[GenerationRequest], GenerationResult]) -> None:
        self.of = of

    def generate(self, request: GenerationRequest) -> GenerationResult:
        return self.of(request)


def row(**values: list[str]) -> Row:
    """A listing with five attributes: colour, material, weight, washable, uses."""
    made = make_rows(1)[0]
    return Row(made.listing, made.attributes, values)


def test_a_listing_is_scored_attribute_by_attribute() -> None:
    catalog = row(colour=["red"], material=["wood"], weight=["1 kg"], uses=["tea", "soup"])
    given = answer(
        {
            "colour": ["red"],  # right
            "material": ["steel"],  # wrong
            "washable": ["yes"],  # the catalog is blank: neither right nor wrong
            "uses": ["soup", "tea"],  # right, in any order
        },
        weight="heavy",  # refused by the schema
    )
    scored = score(catalog, given)
    assert (scored.asked, scored.valid) == (5, 4)
    assert (scored.labelled, scored.suggested, scored.right) == (4, 3, 2)


def test_what_was_neither_filled_nor_refused_is_an_abstention() -> None:
    scored = score(row(colour=["red"]), answer({"colour": ["red"]}, weight="heavy"))
    assert (scored.asked, scored.valid, scored.blank) == (5, 1, 3)


def test_a_suggestion_whose_condition_the_answer_itself_does_not_meet_is_not_shown() -> None:
    colour, material, weight, *others = row().attributes
    weight = weight.model_copy(update={"when": (("material", ("wood",)),)})
    catalog = row(material=["wood"], weight=["1 kg"])
    catalog = replace(catalog, attributes=(colour, material, weight, *others))
    shown = score(catalog, answer({"material": ["wood"], "weight": ["1 kg"]}))
    assert (shown.asked, shown.valid, shown.right) == (5, 2, 2)
    hidden = score(catalog, answer({"material": ["steel"], "weight": ["1 kg"]}))
    assert (hidden.asked, hidden.valid, hidden.suggested, hidden.right) == (5, 1, 1, 0)


def test_of_the_required_attributes_those_filled_legally_are_counted() -> None:
    catalog = row(colour=["red"])
    required = tuple(a.model_copy(update={"required": True}) for a in catalog.attributes[:3])
    catalog = replace(catalog, attributes=(*required, *catalog.attributes[3:]))
    scored = score(catalog, answer({"colour": ["red"], "washable": ["yes"]}, weight="heavy"))
    assert (scored.required, scored.required_valid) == (3, 1)


def test_a_listing_tells_what_it_carries_and_how_sure_the_answer_is() -> None:
    catalog = row(colour=["red"])
    named = replace(catalog, listing=replace(catalog.listing, images=("a.jpg",)))
    pictured = replace(named, pictures=("a" * 64,))
    silent = replace(pictured, listing=replace(pictured.listing, title="", description=" "))
    bare = replace(silent, pictures=())
    sure = replace(answer({"colour": ["red"]}), confidence={"colour": 1.0000001, "weight": 0.2})
    assert [score(r, sure).inputs for r in (catalog, named, pictured, silent, bare)] == [
        "text",
        "text",
        "text+image",
        "image",
        "nothing",
    ]
    (suggestion,) = score(catalog, sure).suggestions
    assert (suggestion.confidence, suggestion.right) == (1.0, True)
    # A baseline may not say how sure it is.
    assert score(catalog, answer({"colour": ["red"]})).suggestions == ()


def test_a_catalog_value_that_the_schema_refuses_is_no_label() -> None:
    scored = score(row(colour=["mauve"], material=["wood"]), answer({"colour": ["red"]}))
    assert (scored.labelled, scored.suggested, scored.right) == (1, 0, 0)


def test_several_values_of_a_single_valued_attribute_are_alternative_spellings() -> None:
    catalog = row(colour=["mauve", "red", "blue"])
    assert catalog.answer(catalog.attributes[0]) == ["red"]
    assert score(catalog, answer({"colour": ["blue"]})).right == 1
    assert score(catalog, answer({"colour": ["green"]})).right == 0


def test_the_metrics_are_those_of_the_definitions() -> None:
    rows = [row(colour=["red"], material=["wood"]), row(colour=["red"], washable=["yes"])]
    answers = iter([answer({"colour": ["red"]}, 0.1), answer({"colour": ["blue"]}, 0.3)])
    made = evaluated(Answers(lambda request: next(answers)), rows, KEY).metrics(0.25, draws=500)
    assert made.completeness.value == pytest.approx(1 / 5)
    assert made.recall.value == pytest.approx(1 / 4)
    assert made.precision.value == pytest.approx(1 / 2)
    assert made.net_benefit is not None
    assert made.net_benefit.value == pytest.approx((1 - 0.25) / 4)
    assert made.correct_completeness is not None
    assert made.correct_completeness.value == pytest.approx(1 / 5 * 1 / 2)
    assert (made.precision.low, made.precision.high) == (0.0, 1.0)
    assert made.completeness.low == made.completeness.high == pytest.approx(1 / 5)
    assert made.p50_ms == pytest.approx(200)


def test_an_adapter_that_says_nothing_has_precision_zero() -> None:
    made = evaluated(Answers(lambda request: answer({})), [row(colour=["red"])], KEY).metrics(0.25)
    assert made.precision.value == made.precision.high == 0.0


def test_intervals_are_clustered_by_listing() -> None:
    """Ten attributes that stand or fall together tell as much as one: the interval stays wide."""
    good, bad = row(colour=["red"]), row(colour=["blue"])
    say_red = Answers(lambda request: answer({"colour": ["red"]}))
    few = evaluated(say_red, [good, bad] * 5, KEY).metrics(0.25).precision
    many = evaluated(say_red, [good, bad] * 50, KEY).metrics(0.25).precision
    assert few.high - few.low > 0.5
    assert many.high - many.low < 0.25


def test_a_wrong_suggestion_takes_its_cost_and_a_blank_nothing() -> None:
    rows = [row(colour=["red"]), row(colour=["red"]), row(colour=["red"])]
    said: list[ValueLists] = [{"colour": ["red"]}, {"colour": ["blue"]}, {}]
    answers = iter(answer(values) for values in said)
    made = evaluated(Answers(lambda request: next(answers)), rows, KEY)
    for cost in (0.0, 0.25, 1.0, 4.0):
        assert made.measure("net_benefit", cost).value == pytest.approx((1 - cost) / 3)


def test_an_evaluation_is_kept_under_all_that_it_depends_on(tmp_path: Path) -> None:
    store = EvaluationStore(tmp_path)
    made = Evaluation(
        key=KEY, adapter_id="x", listings=[score(row(colour=["red"]), answer({}))], seconds=1.0
    )
    assert store.get(KEY) is None
    store.put(made)
    assert store.get(KEY) == made
    other = ServingSettings(batches=4)
    assert store.get(EvaluationKey.of("a" * 64, "b" * 64, "c" * 64, other)) is None
    assert store.get(KEY.model_copy(update={"one_shot": True})) is None
    assert store.get(KEY.model_copy(update={"base_hash": "d" * 64})) is None
    elsewhere = ServingSettings(triton_url="127.0.0.1:1", threads=2)
    assert store.get(EvaluationKey.of("a" * 64, "b" * 64, "c" * 64, elsewhere)) == made


def test_answers_are_kept_by_listing_whatever_list_it_is_in(tmp_path: Path) -> None:
    store = AnswerStore(tmp_path)
    first, second = make_rows(2)
    said = Answered(result=answer({"colour": ["red"]}), wall_seconds=0.5)
    store.put(KEY, {question_hash(first): said})
    store.put(KEY.model_copy(update={"heldout_hash": "other"}), {question_hash(second): said})
    assert store.get(KEY) == {question_hash(first): said, question_hash(second): said}
    assert store.get(KEY.model_copy(update={"shown_from": "examples"})) == {}
    relabelled = replace(first, values={})
    assert question_hash(relabelled) == question_hash(first), "the values are not asked about"
    asked_less = replace(first, attributes=first.attributes[:2])
    assert question_hash(asked_less) != question_hash(first)
    assert store.erase({listing_sha256("l0")}) == 1
    assert store.get(KEY) == {question_hash(second): said}
