"""Constrained answers are legal or blank, whatever the model would rather say."""

import copy
import random
import re
from dataclasses import replace

import pytest
from tokenizers import decoders, pre_tokenizers

from schemas.category import Attribute, AttributeType
from schemas.events import Mode
from schemas.values import is_valid, parse_answer
from serving.engine.constraints import Constraints, answer_expression, grammar_tokenizer
from serving.engine.engine import Engine
from serving.generation import GenerationRequest
from serving.listing import Listing
from serving.prompt import Example
from serving.vocabulary import Vocabulary
from tests.serving.helpers import BRAND, COLOUR, EVERY_KIND, LAMP, PORTS, SINCE, SKU, TAGS, WEIGHT


@pytest.fixture(scope="session")
def constraints(base):
    return Constraints(base.vocabulary)


def accepts(base, constraints, attribute, text):
    """Whether a matcher lets a model write `text` and then stop."""
    matcher = constraints.compiled(attribute)()
    for token in base.vocabulary.encode(text):
        if not matcher.allows(token):
            return False
        assert token in matcher.allowed()
        matcher.advance(token)
    stops = matcher.allows(base.vocabulary.newline)
    assert stops == (base.vocabulary.newline in matcher.allowed())
    return stops


@pytest.mark.parametrize("attribute", EVERY_KIND, ids=lambda attribute: attribute.name)
def test_asked_for_one_token_or_for_all_a_matcher_says_the_same(base, constraints, attribute):
    logits = base.vocabulary.size + 40  # a model may have more than there are tokens
    matcher = constraints.compiled(attribute)()
    drawn = random.Random(attribute.name)
    for _ in range(6):
        allowed = matcher.allowed()
        assert sorted(allowed) == [token for token in range(logits) if matcher.allows(token)]
        following = [token for token in allowed if token not in base.vocabulary.stop_ids]
        if not following:
            return
        matcher.advance(drawn.choice(following))


LEGAL = [
    (COLOUR, " dark blue"),
    (COLOUR, " red"),
    (WEIGHT, " 1.25 kg"),
    (WEIGHT, " 49 g"),
    (SKU, " AB-123"),
    (SINCE, " 2024-02-29"),
    (BRAND, " Nordhaus & Co"[:13]),
    (PORTS, " USB"),
    (PORTS, " USB-C | USB"),
    (TAGS, " a b | c"),
]
LENGTH = Attribute(name="length", type=AttributeType.NUMBER, units=("mm",))
GERMAN = LENGTH.model_copy(update={"locale": "de-DE"})
WARM = Attribute(name="warm", type=AttributeType.NUMBER, units=("K", "°C"), minimum=0)
LEGAL += [
    (LENGTH, " 0.125 mm"),
    (LENGTH, " 1.1250 mm"),
    (LENGTH, " 1200.125 mm"),
    (GERMAN, " 1,125 mm"),
    (WARM, " -5 °C"),
]
ILLEGAL = [
    (COLOUR, " dark"),
    (COLOUR, " dark red"),
    (COLOUR, "red"),
    (WEIGHT, " 1.25"),
    (WEIGHT, " 1.25 mm"),
    (WEIGHT, " -1 kg"),
    (SKU, " ab-123"),
    (SKU, " AB-12"),
    (SINCE, " 2024-13-01"),
    (BRAND, " Nordhaus & Company"),
    (PORTS, " USB | USB"),
    (PORTS, " USB | HDMI | USB-C"),
    (TAGS, " a | b | c | d"),
    (LENGTH, " 1.125 mm"),
    (LENGTH, " 1,5 mm"),
    (GERMAN, " 1.5 mm"),
]


OPEN = Attribute(
    name="Shade", type=AttributeType.ENUM, values=("red", "very pale blue"), open=True, max_length=9
)


@pytest.mark.parametrize("text", [" red", " very pale blue", " maroon", " dark, or"])
def test_of_an_open_list_any_short_text_can_be_written(base, constraints, text):
    assert is_valid(OPEN, parse_answer(OPEN, text))
    assert accepts(base, constraints, OPEN, text)
    assert accepts(base, constraints, OPEN, "")
    assert not accepts(base, constraints, OPEN, " more than fourteen")


@pytest.mark.parametrize(("attribute", "text"), LEGAL)
def test_a_legal_value_can_be_written(base, constraints, attribute, text):
    assert is_valid(attribute, parse_answer(attribute, text))
    assert accepts(base, constraints, attribute, text)


@pytest.mark.parametrize(("attribute", "text"), ILLEGAL)
def test_an_illegal_value_cannot(base, constraints, attribute, text):
    assert not accepts(base, constraints, attribute, text)


@pytest.mark.parametrize("attribute", EVERY_KIND, ids=lambda attribute: attribute.name)
def test_every_kind_may_abstain_at_once(base, constraints, attribute):
    assert accepts(base, constraints, attribute, "")


def forced_after(base, constraints, attribute, text):
    """What must follow `text`, as text, and whether the answer must end there."""
    matcher = constraints.compiled(attribute)()
    for token in base.vocabulary.encode(text):
        matcher.advance(token)
    tokens, ends = matcher.forced()
    return base.vocabulary.decode(tokens), ends


@pytest.mark.parametrize(
    ("attribute", "written", "forced", "ends"),
    [
        (COLOUR, "", "", False),
        (COLOUR, " red", "", True),
        (COLOUR, " dark", "", False),
        (PORTS, " HDMI", "", False),
        (PORTS, " HDMI | USB-C", "", True),
        (SKU, " AB", "-", False),
        (SKU, " AB-123", "", True),
        (SINCE, " 2024", "-", False),
        (SINCE, " 2024-02-29", "", True),
        (WEIGHT, " 1.25 k", "g", True),
    ],
)
def test_what_the_schema_leaves_no_choice_about_is_forced(
    base, constraints, attribute, written, forced, ends
):
    assert forced_after(base, constraints, attribute, written) == (forced, ends)


def test_once_a_value_is_told_from_the_others_its_rest_is_forced(base, constraints):
    other, ids = (base.vocabulary.encode(f" dark {hue}") for hue in ("green", "blue"))
    told = next(n for n, (a, b) in enumerate(zip(other, ids, strict=False)) if a != b) + 1
    matcher = constraints.compiled(COLOUR)()
    for token in ids[:told]:
        assert not matcher.forced()[1]
        matcher.advance(token)
    assert matcher.forced() == (ids[told:], True)


def with_decoder(vocabulary, decoder, pre_tokenizer=None):
    """The vocabulary with its tokenizer's decoder (and pre-tokenizer) replaced."""
    tokenizer = copy.deepcopy(vocabulary.tokenizer)
    tokenizer.backend_tokenizer.decoder = decoder
    if pre_tokenizer is not None:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizer
    return Vocabulary(tokenizer)


def test_a_tokenizer_with_the_decoders_of_a_gguf_conversion_is_read_right(base):
    gguf = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse(), decoders.ByteLevel()])
    vocabulary = with_decoder(base.vocabulary, gguf)
    matcher = Constraints(vocabulary)
    assert accepts(base, matcher, WEIGHT, " 1.25 kg")


def test_a_tokenizer_that_llguidance_misreads_is_noticed(base, caplog):
    words = with_decoder(base.vocabulary, decoders.WordPiece(), pre_tokenizers.Whitespace())
    assert grammar_tokenizer(words) is None
    assert "validation replaces grammars" in caplog.text
    assert Constraints(words).compiled(WEIGHT) is None


def ask(engine, number, mode=Mode.CONSTRAINED, attributes=EVERY_KIND):
    listing = Listing(f"{LAMP.listing_id}-{number}", LAMP.category, f"{LAMP.title} {number}")
    return engine.generate(GenerationRequest(listing, attributes, mode=mode))


def test_whatever_a_random_model_wants_the_result_is_legal_or_blank(engine):
    by_name = {attribute.name: attribute for attribute in EVERY_KIND}
    filled = set()
    for number in range(12):
        result = ask(engine, number)
        assert result.invalid == {}
        assert result.confidence.keys() == by_name.keys()
        for name, values in result.values.items():
            assert is_valid(by_name[name], values)
        filled |= result.values.keys()
    assert {COLOUR.name, BRAND.name} <= filled, "not everything may be a blank"


def test_values_less_probable_than_the_threshold_are_blank(settings, tiny_base):
    with Engine(settings.model_copy(update={"abstain_below": 1.0}), tiny_base) as engine:
        result = ask(engine, 0)
    assert result.values == {}
    assert result.confidence


HOSTILE = [
    r"(?=look)ahead",
    r"(a)\1",
    r"(a|b|aa|ab|aba){1,99}c",
    r"(a|b|c|d|e)*z(a|b|c|d|e){60}",
    r"\b\w+\b",
    r"x{5000}",
]


@pytest.mark.parametrize("pattern", HOSTILE)
def test_a_hostile_pattern_costs_an_attribute_and_not_the_engine(engine, pattern):
    attribute = Attribute(name="Hostile", type=AttributeType.PATTERN, pattern=pattern)
    result = ask(engine, 0, attributes=(attribute, COLOUR))
    assert result.invalid == {}
    assert COLOUR.name in result.confidence


def test_the_expressions_say_what_the_schema_says():
    for attribute, text in LEGAL + ILLEGAL:
        if attribute.type in (AttributeType.NUMBER, AttributeType.DATE, AttributeType.PATTERN):
            matches = re.fullmatch(answer_expression(attribute), text) is not None
            assert matches == ((attribute, text) in LEGAL), text


def test_what_the_bundled_model_answers_legally_is_the_same_under_constraints(settings, base_model):
    asked = (COLOUR, WEIGHT, SKU, SINCE, BRAND)
    answered = {"Colour": ["red"], "Weight": ["3 kg"], "SKU": ["XY-123"], "Brand": ["Borg"]}
    example = Example(Listing("0", "Lamps", "Borg lamp, red, 3 kg, XY-123"), asked, answered)
    request = GenerationRequest(LAMP, asked, example=example)
    with Engine(settings, base_model) as engine:
        free = engine.generate(replace(request, mode=Mode.FREE))
        constrained = engine.generate(replace(request, mode=Mode.CONSTRAINED))
    assert len(free.values) >= 3
    for name, values in free.values.items():
        assert constrained.values[name] == values
        assert constrained.confidence[name] == pytest.approx(free.confidence[name], rel=1e-3)
