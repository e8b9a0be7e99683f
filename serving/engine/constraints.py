"""Constrained decoding: an answer is a legal value or a blank, token by token.

Enumerations and booleans walk a trie of their values' token ids; numbers, patterns, dates, texts
and open enumerations follow a regular expression compiled by llguidance. Every matcher also allows
to stop at once, which is an abstention. Stopping is the whole stop set, as in free decoding, so
that an answer which is legal in free mode is the same in constrained mode.

What an expression cannot say (ranges, the calendar) is validated at the end by the caller. A
pattern that does not compile within bounds is left free and validated at the end as well: a hostile
schema costs an attribute, never the engine.
"""

import copy
import json
import logging
import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from llguidance.numpy import fill_next_token_bitmask

from schemas.category import Attribute, AttributeType
from schemas.numbers import number_expression
from schemas.refusals import bound_in
from schemas.values import NO, SEPARATOR, YES
from serving.engine.branch import Matcher
from serving.prompt_texts import answer_text
from serving.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

# Compiled matchers kept; a marketplace with some thousands of attributes stays compiled.
CACHE_SIZE = 4096
# No answer in a prompt is longer; larger repeat counts only make automata large.
MAX_REPEAT = 1000
WORD = 32  # tokens a word of llguidance's masks
PROBE = " Größe 1.5 kg, ▁"
# A tenth of llguidance's defaults: about 10 ms to build an expression and 2 ms a token.
LIMITS = LLParserLimits(
    initial_lexer_fuel=500_000,
    step_lexer_fuel=50_000,
    max_lexer_states=20_000,
    max_grammar_size=100_000,
    verbose_errors=False,
)


class Constraints:
    """Makes matchers for attributes; each is compiled once. Not for several threads at once."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._tokenizer = grammar_tokenizer(vocabulary)
        self._no_stop = no_stop_mask(vocabulary)
        self.compiled = lru_cache(maxsize=CACHE_SIZE)(self._fresh)
        """`_fresh` of an attribute, made once."""

    def _fresh(self, attribute: Attribute) -> Callable[[], Matcher] | None:
        """What gives a fresh matcher for each answer; None where the attribute has to be left free.

        It takes up to some tenths of a second; a fresh matcher takes microseconds, and may be made
        and used in another thread.
        """
        compiled = self._compile(attribute)
        if compiled is None:
            return None
        if isinstance(compiled, Trie):
            return lambda: TrieMatcher(compiled, self._vocabulary)
        return lambda: GrammarMatcher(compiled.deep_copy(), self._vocabulary, self._no_stop)

    def _compile(self, attribute: Attribute) -> "Trie | LLMatcher | None":
        choices = {AttributeType.ENUM: attribute.values, AttributeType.BOOLEAN: (YES, NO)}
        if attribute.type in choices and not attribute.open:
            return build_trie(attribute, choices[attribute.type], self._vocabulary)
        if self._tokenizer is None:
            return None
        grammar = LLMatcher.grammar_from_regex(answer_expression(attribute))
        matcher = LLMatcher(self._tokenizer, grammar, log_level=0, limits=LIMITS)
        if matcher.is_error():
            logger.warning(
                "attribute %r is generated freely and then validated: %s",
                attribute.name,
                matcher.get_error().splitlines()[0],
            )
            return None
        return matcher


def no_stop_mask(vocabulary: Vocabulary) -> np.ndarray:
    """All tokens but the stop tokens in llguidance's form: a bit a token, in words."""
    bits = np.ones(-(-vocabulary.size // WORD) * WORD, np.uint8)
    bits[[token for token in vocabulary.stops if token < vocabulary.size]] = 0
    return np.packbits(bits, bitorder="little").view(np.int32)[None]


def grammar_tokenizer(vocabulary: Vocabulary) -> LLTokenizer | None:
    """llguidance's view of the tokenizer; None where it would misread the tokens' bytes."""
    content = json.loads(vocabulary.tokenizer.backend_tokenizer.to_str())
    content["truncation"] = content["padding"] = None
    if (content["pre_tokenizer"] or {}).get("type") == "ByteLevel":
        # One converted from GGUF has decoders of two families, and llguidance takes the wrong one.
        content["decoder"] = content["pre_tokenizer"]
    end = vocabulary.tokenizer.eos_token_id
    try:
        tokenizer = LLTokenizer(json.dumps(content), eos_token=end)
    except ValueError as error:
        logger.warning("validation replaces grammars: llguidance says %s", error)
        return None
    if tokenizer.decode_bytes(vocabulary.encode(PROBE)) != PROBE.encode():
        logger.warning("validation replaces grammars: llguidance misreads this tokenizer")
        return None
    return tokenizer


class Trie:
    """The token ids of an attribute's allowed values."""

    def __init__(self, separator: tuple[int, ...], max_values: int) -> None:
        self.children: list[dict[int, int]] = [{}]
        self.value_at: dict[int, int] = {}  # node to the number of the value that ends there
        self.separator = separator
        self.max_values = max_values

    def add(self, number: int, ids: Iterable[int]) -> None:
        """Add value `number`, written as `ids`."""
        node = 0
        for token in ids:
            if token not in self.children[node]:
                self.children[node][token] = len(self.children)
                self.children.append({})
            node = self.children[node][token]
        self.value_at[node] = number


def build_trie(attribute: Attribute, values: Iterable[str], vocabulary: Vocabulary) -> Trie:
    """The trie of ` value` for each of `values`."""
    bar = SEPARATOR.strip()
    limit = attribute.max_values if attribute.multi_value else 1
    trie = Trie(tuple(vocabulary.encode(f" {bar}")), limit)
    # A bar inside a value would be read as two values.
    allowed = [value for value in values if not (attribute.multi_value and bar in value)]
    encoded = vocabulary.encode_all([answer_text([value]) for value in allowed])
    for number, ids in enumerate(encoded):
        trie.add(number, ids)
    return trie


class TrieMatcher:
    """Walks a trie, and over the separator back to its root while more values are allowed."""

    def __init__(self, trie: Trie, vocabulary: Vocabulary) -> None:
        self._trie = trie
        self._vocabulary = vocabulary
        self._node = 0
        self._used: frozenset[int] = frozenset()
        self._in_separator = 0  # tokens of the separator already taken

    def allows(self, token: int) -> bool:
        """See `branch.Matcher`."""
        following, may_stop = self._options()
        return token in following or (may_stop and token in self._vocabulary.stop_ids)

    def allowed(self) -> list[int]:
        """See `branch.Matcher`."""
        following, may_stop = self._options()
        return [*following, *(self._vocabulary.stops if may_stop else ())]

    def advance(self, token: int) -> None:
        """See `branch.Matcher`."""
        if self._in_separator == 0 and token in self._trie.children[self._node]:
            self._node = self._trie.children[self._node][token]
            return
        if self._in_separator == 0:
            self._used |= {self._trie.value_at[self._node]}
            self._node = 0
        self._in_separator = (self._in_separator + 1) % len(self._trie.separator)

    def forced(self) -> tuple[list[int], bool]:
        """See `branch.Matcher`."""
        ahead = self
        tokens: list[int] = []
        while True:
            following, may_stop = ahead._options()
            if len(following) + may_stop > 1:
                return tokens, False
            if may_stop:
                return tokens, True
            if ahead is self:  # seldom: most often there is a choice
                ahead = copy.copy(self)
            tokens += following
            ahead.advance(tokens[-1])

    def _options(self) -> tuple[list[int], bool]:
        """The tokens that may follow, and whether the answer may end."""
        if self._in_separator:
            return [self._trie.separator[self._in_separator]], False
        following = list(self._trie.children[self._node])
        value = self._trie.value_at.get(self._node)
        # A value said twice is one value too many, and greedy decoding loves to repeat itself.
        ended = value is not None and value not in self._used
        if ended and len(self._used) + 1 < self._trie.max_values:
            following.append(self._trie.separator[0])
        # Where nothing may follow the walk is stuck: the answer ends, and is judged as it stands.
        return following, ended or not following or (self._node == 0 and not self._used)


class GrammarMatcher:
    """Follows a compiled expression; if it fails on the way, the rest of the answer is free."""

    def __init__(self, matcher: LLMatcher, vocabulary: Vocabulary, no_stop: np.ndarray) -> None:
        """`no_stop` is the `no_stop_mask`."""
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._no_stop = no_stop

    def allows(self, token: int) -> bool:
        """See `branch.Matcher`."""
        if self._matcher.is_error():
            return True
        if token in self._vocabulary.stop_ids:
            return self._may_stop()
        # One token is many times quicker to follow than all of them. A number that is no token's,
        # which padded logits have, would be an error.
        return token < self._vocabulary.size and self._matcher.validate_tokens([token]) == 1

    def allowed(self) -> list[int]:
        """See `branch.Matcher`."""
        following = self._following()
        # A grammar that allows nothing is stuck: the answer ends, and is judged as it stands.
        stops = self._vocabulary.stops if self._may_stop() or not following else ()
        return [*following, *stops]

    def advance(self, token: int) -> None:
        """See `branch.Matcher`."""
        if not self._matcher.is_error():
            self._matcher.consume_token(token)

    def forced(self) -> tuple[list[int], bool]:
        """See `branch.Matcher`."""
        if self._matcher.is_error():
            return [], False
        tokens = [] if self._matcher.is_stopped() else self._matcher.compute_ff_tokens()
        if not tokens:
            return [], self._matcher.is_stopped()
        ahead = self._matcher.deep_copy()
        ahead.consume_tokens(tokens)
        return tokens, ahead.is_stopped() and not ahead.is_error()

    def _may_stop(self) -> bool:
        return self._matcher.is_accepting() or self._matcher.is_error()

    def _following(self) -> list[int]:
        """All tokens that the expression goes on with."""
        if self._matcher.is_stopped():
            return []
        mask = np.zeros_like(self._no_stop)
        fill_next_token_bitmask(self._matcher, mask)
        mask &= self._no_stop
        # Most often few of a thousand words have a bit set.
        words = np.flatnonzero(mask)
        bits = np.flatnonzero(np.unpackbits(mask[0, words].view(np.uint8), bitorder="little"))
        return (words[bits // WORD] * WORD + bits % WORD).tolist()


def answer_expression(attribute: Attribute) -> str:
    """The regular expression of an answer: nothing, or a space and a legal value.

    In the syntax of Rust's regex, which llguidance reads.
    """
    value = value_expression(attribute)
    if attribute.multi_value:
        more = max(0, attribute.max_values - 1)
        value = f"{value}( [|] {value}){{0,{more}}}"
    return f"( {value})?"


def may_be_negative(attribute: Attribute) -> bool:
    """Whether a number below 0 can be legal: at least 0 K, or -273.15 °C."""
    if attribute.minimum is None or attribute.minimum < 0:
        return True
    lowest = (bound_in(attribute, attribute.minimum, unit) for unit in attribute.units)
    return any(bound is not None and bound < 0 for bound in lowest)


def value_expression(attribute: Attribute) -> str:
    """The regular expression of one legal value of a number, pattern, date, text or open enum."""
    match attribute.type:
        case AttributeType.NUMBER:
            number = number_expression(attribute.locale)
            units = "|".join(re.escape(unit) for unit in attribute.units)
            sign = "-?" if may_be_negative(attribute) else ""
            return f"{sign}{number}{f' ({units})' if units else ''}"
        case AttributeType.DATE:
            return "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
        case AttributeType.PATTERN:
            # The whole value matches anyway, and llguidance has no anchors.
            pattern = str(attribute.pattern).removeprefix("^")
            ends = pattern.endswith("$") and not pattern.endswith("\\$")
            return f"({pattern[:-1] if ends else pattern})"
        case _:
            inside = r"[^\n\r|]" if attribute.multi_value else r"[^\n\r]"
            first = r"[^\s|]" if attribute.multi_value else r"[^\s]"
            longest = max([attribute.text_length, *map(len, attribute.values)])
            return f"{first}{inside}{{0,{min(longest - 1, MAX_REPEAT)}}}"
