"""How long an answer may be: a legal value has room where its length is known."""

from itertools import permutations

import pytest

from schemas.category import Attribute, AttributeType
from serving.answer_cap import ALLOWED_VALUE_TOKENS, answer_cap
from serving.listing import Listing
from serving.prompt import PromptBuilder
from serving.prompt_texts import answer_text, hint, trunk_text
from serving.settings import ServingSettings
from tests.serving.helpers import BRAND, COLOUR, PORTS, SINCE, SKU, TAGS, WASHABLE, WEIGHT


@pytest.fixture
def tokens(base):
    """How many tokens an answer takes, its stop included."""
    return lambda *values: len(base.vocabulary.encode(answer_text(values))) + 1


@pytest.mark.parametrize("limit", [1, 32])
def test_allowed_values_have_room_whatever_the_limit(base, tokens, limit):
    long = Attribute(name="Long", type=AttributeType.ENUM, values=("red", "dark red, " * 8))
    for attribute in (COLOUR, long):
        longest = max(tokens(value) for value in attribute.values)
        assert answer_cap(attribute, base.vocabulary, limit) == longest
    yes_or_no = max(tokens("yes"), tokens("no"))
    assert answer_cap(WASHABLE, base.vocabulary, limit) == yes_or_no
    assert answer_cap(SINCE, base.vocabulary, limit) >= tokens("2024-12-31")


def test_an_allowed_value_that_is_too_long_for_any_answer_is_warned_of_once(base, caplog):
    values = ("red", "very " * 2000 + "red", "very " * 3000 + "red")
    hostile = Attribute(name="Shade", type=AttributeType.ENUM, values=values)
    builder = PromptBuilder(base.vocabulary, ServingSettings(max_answer_tokens=7))
    assert builder.cap(hostile) == builder.cap(hostile) == ALLOWED_VALUE_TOKENS
    assert answer_cap(hostile, base.vocabulary, 100) == 100
    first, _ = caplog.messages
    assert first.startswith("attribute 'Shade': 2 of 3 allowed values are longer than 63 tokens;")


def test_an_open_list_is_shown_as_one_and_leaves_room_for_other_texts(base, tokens):
    shade = Attribute(name="Shade", type=AttributeType.ENUM, values=("red", "pale blue"), open=True)
    assert hint(shade, 12) == "red, pale blue or other"
    assert hint(shade, 1) == "choice or other"
    assert answer_cap(shade, base.vocabulary, 32) == 32
    assert answer_cap(shade, base.vocabulary, 2) >= tokens("pale blue")


def test_thousands_of_allowed_values_have_room_too(base, tokens):
    values = tuple(f"shade {number} of grey" for number in range(9_999))
    shades = Attribute(name="Shade", type=AttributeType.ENUM, values=values)
    assert answer_cap(shades, base.vocabulary, 2) == max(map(tokens, values))


@pytest.mark.parametrize("attribute", [WEIGHT, SKU, BRAND, TAGS], ids=lambda a: a.name)
@pytest.mark.parametrize("limit", [1, 6, 32])
def test_what_may_be_of_any_length_has_room_up_to_the_limit(base, attribute, limit):
    assert answer_cap(attribute, base.vocabulary, limit) == limit


def test_a_short_text_has_as_much_room_as_its_characters_can_take(base, tokens):
    name = Attribute(name="Name", type=AttributeType.TEXT, max_length=3)
    assert tokens("🛋🛋🛋") <= answer_cap(name, base.vocabulary, 1000) < 20


def test_several_values_share_the_limit_and_one_always_has_room(base, tokens):
    cap = answer_cap(PORTS, base.vocabulary, 1000)
    assert all(tokens(*ports) <= cap for ports in permutations(PORTS.values, 2))
    assert answer_cap(PORTS, base.vocabulary, cap - 1) == cap - 1
    assert answer_cap(PORTS, base.vocabulary, 1) == max(tokens(port) for port in PORTS.values)


def test_texts_are_encoded_together_as_they_are_one_by_one(base):
    texts = [" red", " dark blue", "", " Größe 1.5 kg"]
    assert base.vocabulary.encode_all(texts) == [base.vocabulary.encode(text) for text in texts]
    assert base.vocabulary.encode_all([]) == []


def test_a_builder_decides_the_cap_by_its_settings(base):
    builder = PromptBuilder(base.vocabulary, ServingSettings(max_answer_tokens=7))
    assert (builder.cap(BRAND), builder.cap(COLOUR)) == (7, answer_cap(COLOUR, base.vocabulary, 7))


def test_a_prompt_has_no_markup_no_control_characters_and_one_form_of_unicode():
    listing = Listing(
        "1",
        "Lamps",
        title="Caf\u0065\u0301 &amp; Bar\x00 <b>lamp</b>",
        description="<style>p{}</style><p>Height:\n30&nbsp;cm</p><p>&lt;b&gt;warm&lt;/b&gt;</p>",
    )
    assert trunk_text(listing, 1000) == (
        "Category: Lamps\nTitle: Café & Bar lamp\nDescription: Height: 30 cm warm"
    )


def test_the_text_behind_long_markup_is_still_read_and_a_hostile_one_takes_no_time():
    tags = "<div class='x'>" * 40
    shown = trunk_text(Listing("1", "Lamps", title="", description=f"{tags}warm"), 100)
    assert shown.endswith("Description: warm")
    trunk_text(Listing("1", "Lamps", title="<a " * 300_000, description="<!--" * 300_000), 4096)
