"""How many tokens an answer may have: enough for what is legal, and no more."""

import logging
from collections.abc import Sequence

from schemas.category import Attribute, AttributeType
from schemas.values import NO, SEPARATOR, YES
from serving.prompt_texts import answer_text
from serving.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

# No tokenizer writes a date in more tokens than it has characters, or a text in more than bytes.
DATE_CHARACTERS = len(" 2024-12-31")
BYTES_PER_CHARACTER = 4
# Of an allowed value and its stop, where the settings do not allow more. The longest in a real
# catalog has 57, of 263 characters; a hostile schema has one that would take thousands of passes.
ALLOWED_VALUE_TOKENS = 64


def answer_cap(attribute: Attribute, vocabulary: Vocabulary, limit: int) -> int:
    """The cap on an answer's new tokens: those of the longest legal value, and its stop.

    A yes or no, a date and an allowed value of less than `ALLOWED_VALUE_TOKENS` always have room.
    Of a number, a pattern and a text nobody knows how long they get, so they have `limit` at most.
    So have the values of a multi-valued attribute together, except that each of them has room
    alone: an answer of 100 values would hold up all others in its pass.

    Since the stop is counted, an answer that its cap ends is longer than every value that has room.
    """
    match attribute.type:
        case AttributeType.ENUM:
            longest = _longest_allowed(attribute, vocabulary, max(limit, ALLOWED_VALUE_TOKENS) - 1)
            if attribute.open:
                longest = max(longest, _longest_text(attribute, limit))
        case AttributeType.BOOLEAN:
            longest = max(_lengths((YES, NO), vocabulary))
        case AttributeType.DATE:
            longest = DATE_CHARACTERS
        case AttributeType.NUMBER:
            longest = limit - 1
        case AttributeType.PATTERN | AttributeType.TEXT:
            longest = _longest_text(attribute, limit)
    if not attribute.multi_value:
        return longest + 1
    # After each value a separator, after the last one the stop.
    together = attribute.max_values * (longest + len(vocabulary.encode(SEPARATOR.rstrip())))
    return max(longest + 1, min(limit, together))


def _longest_text(attribute: Attribute, limit: int) -> int:
    return min(limit - 1, attribute.text_length * BYTES_PER_CHARACTER + 1)


def _longest_allowed(attribute: Attribute, vocabulary: Vocabulary, most: int) -> int:
    """The tokens of the longest allowed value, up to `most`; warns of what is longer."""
    lengths = _lengths(attribute.values, vocabulary)
    too_long = sum(length > most for length in lengths)
    if too_long:
        logger.warning(
            "attribute %r: %d of %d allowed values are longer than %d tokens; they can never be "
            "answered: shorten them, or raise serving.max_answer_tokens",
            attribute.name,
            too_long,
            len(lengths),
            most,
        )
    return min(max(lengths), most)


def _lengths(values: Sequence[str], vocabulary: Vocabulary) -> list[int]:
    return [len(ids) for ids in vocabulary.encode_all([answer_text([value]) for value in values])]
