"""One request into attribute values: prompt, tree decoding, validation."""

import time
from collections.abc import Mapping
from functools import lru_cache

from schemas.category import Attribute, AttributeType
from schemas.events import BASE_ADAPTER, Mode, ValueLists
from schemas.values import NO, YES, is_valid, parse_answer
from serving.adapter_store import AdapterStore
from serving.constraints import Constraints
from serving.decoding import Answer, decode_tree
from serving.errors import Refused
from serving.generation import GenerationRequest, GenerationResult
from serving.model import Base, MergedModels
from serving.prompt import PromptBuilder
from serving.settings import ServingSettings

DATE_CHARACTERS = len(" 2024-12-31")
# Where a list of allowed values is longer, tokenising all of it to save a few tokens is no bargain.
MAX_CAPPED_VALUES = 500


class TreeGenerator:
    """Generates with one base model and the adapters of a store. One request at a time."""

    def __init__(self, base: Base, store: AdapterStore, settings: ServingSettings) -> None:
        self._base = base
        self._store = store
        self._settings = settings
        self._models = MergedModels(base.model, store.get, settings.max_merged)
        self._builder = PromptBuilder(base.vocabulary, settings)
        self._constraints = Constraints(base.vocabulary, base.vocabulary_size)
        self._cap = lru_cache(maxsize=65_536)(self._longest_answer)

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """Answer `request`.

        Raises:
            Refused: two attributes have the same name.
            UnknownAdapter: the store does not have the request's adapter.
            Cancelled: the asker gave up.
        """
        names = [attribute.name for attribute in request.attributes]
        if len(set(names)) < len(names):
            raise Refused("two attributes have the same name; ask for each once")
        started = time.perf_counter()
        mode = Mode(request.mode or self._settings.mode)
        model = self._models.get(request.adapter_hash)
        tree = self._builder.tree(
            request.listing, request.attributes, request.example, request.batches
        )
        decoded = decode_tree(
            model,
            self._base.vocabulary,
            tree,
            self._cap,
            self._constraints.matcher if mode is Mode.CONSTRAINED else None,
            request.cancelled,
        )
        abstain_below = self._settings.abstain_below if mode is Mode.CONSTRAINED else 0.0
        values, invalid = judge(request.attributes, decoded.answers, mode, abstain_below)
        return GenerationResult(
            values=values,
            invalid=invalid,
            confidence={name: decoded.answers[name].confidence for name in names},
            adapter_id=self._adapter_id(request.adapter_hash),
            adapter_hash=request.adapter_hash,
            batches=len(tree.branches),
            forward_passes=decoded.forward_passes,
            tokens_computed=decoded.tokens_computed,
            seconds=time.perf_counter() - started,
        )

    def _adapter_id(self, adapter_hash: str) -> str:
        return BASE_ADAPTER if adapter_hash == BASE_ADAPTER else self._store.ids()[adapter_hash]

    def _longest_answer(self, attribute: Attribute) -> int:
        """The cap on new tokens: the longest legal value and its stop, where that is cheap."""
        limit = self._settings.max_answer_tokens
        if attribute.multi_value:
            return limit
        match attribute.type:
            case AttributeType.DATE:
                return min(limit, DATE_CHARACTERS + 1)
            case AttributeType.BOOLEAN:
                values: tuple[str, ...] = (YES, NO)
            case AttributeType.ENUM if len(attribute.values) <= MAX_CAPPED_VALUES:
                values = attribute.values
            case _:
                return limit
        encode = self._base.vocabulary.encode
        return min(limit, max(len(encode(f" {value}")) for value in values) + 1)


def judge(
    attributes: tuple[Attribute, ...],
    answers: Mapping[str, Answer],
    mode: Mode,
    abstain_below: float = 0.0,
) -> tuple[ValueLists, dict[str, str]]:
    """The legal values, and (in free mode) the texts that the schema refuses.

    In constrained mode an answer that is illegal after all (a number out of range, a date not in
    the calendar, a value that the cap cut off) or less probable than `abstain_below` is a blank.
    """
    values: ValueLists = {}
    invalid: dict[str, str] = {}
    for attribute in attributes:
        answer = answers[attribute.name]
        parsed = parse_answer(attribute, answer.text)
        if not parsed or answer.confidence < abstain_below:
            continue
        if is_valid(attribute, parsed):
            values[attribute.name] = parsed
        elif mode is Mode.FREE:
            invalid[attribute.name] = answer.text.strip()
    return values, invalid
