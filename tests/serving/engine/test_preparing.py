"""What an answer is worth: a legal value is kept, a text that is none is told, the rest blank."""

import pytest

from schemas.category import Attribute, AttributeType
from schemas.completeness import completeness
from schemas.events import Mode
from serving.engine.branch import Answer
from serving.engine.engine import Engine
from serving.engine.preparing import judge
from serving.generation import GenerationRequest
from tests.serving.helpers import (
    BRAND,
    COLOUR,
    EVERY_KIND,
    LAMP,
    PORTS,
    SINCE,
    SKU,
    TAGS,
    WASHABLE,
    WEIGHT,
)

TEXTS = {
    COLOUR: " red",
    WASHABLE: " yes",
    WEIGHT: " 1.25 kg",
    SKU: " AB-123",
    SINCE: " 2024-02-29",
    BRAND: " Nordhaus",
    PORTS: " USB | HDMI",
    TAGS: " a | b",
}


def judged(attribute, text, mode, complete):
    answers = {attribute.name: Answer((1,), text, 1.0, complete)}
    return judge((attribute,), answers, mode)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("attribute", EVERY_KIND, ids=lambda attribute: attribute.name)
def test_a_legal_value_that_ended_by_itself_is_kept(attribute, mode):
    values, invalid = judged(attribute, TEXTS[attribute], mode, complete=True)
    assert completeness((attribute,), values) == 1.0
    assert invalid == {}


@pytest.mark.parametrize("attribute", EVERY_KIND, ids=lambda attribute: attribute.name)
def test_what_the_cap_ended_is_no_answer_however_legal_it_looks(attribute):
    text = TEXTS[attribute]
    values, invalid = judged(attribute, text, Mode.FREE, complete=False)
    assert (values, invalid) == ({}, {attribute.name: text.strip()})
    assert judged(attribute, text, Mode.CONSTRAINED, complete=False) == ({}, {})


@pytest.mark.parametrize("mode", Mode)
def test_the_beginning_of_a_value_that_is_a_value_itself_does_not_slip_in(mode):
    wine = Attribute(name="Kind", type=AttributeType.ENUM, values=("Red", "Red wine"))
    assert judged(wine, " Red", mode, complete=False)[0] == {}


def test_an_empty_text_is_a_blank_whatever_ended_it():
    assert judged(BRAND, "  ", Mode.FREE, complete=False) == ({}, {})


@pytest.mark.parametrize("mode", Mode)
def test_an_engine_whose_answers_are_all_cut_off_fills_nothing(settings, tiny_base, mode):
    notes = tuple(Attribute(name=f"Note {n}", type=AttributeType.TEXT) for n in range(9))
    # The one token is decided: it is either the end, and then a blank, or ended by the cap.
    with Engine(settings.model_copy(update={"max_answer_tokens": 1}), tiny_base) as engine:
        result = engine.generate(GenerationRequest(LAMP, notes, mode=mode))
    assert result.values == {}
    assert bool(result.invalid) == (mode is Mode.FREE)


def test_an_allowed_value_longer_than_the_settings_cap_is_written_to_its_end(settings, tiny_base):
    values = (
        "contact the seller, who guides you to the nearest service centre",
        "24 months from the manufacturer, at home and in all of Europe",
    )
    asked = tuple(
        Attribute(name=f"Warranty {n}", type=AttributeType.ENUM, values=values) for n in range(9)
    )
    with Engine(settings.model_copy(update={"max_answer_tokens": 2}), tiny_base) as engine:
        result = engine.generate(GenerationRequest(LAMP, asked, mode=Mode.CONSTRAINED))
    assert result.values
    assert {value for [value] in result.values.values()} <= set(values)
