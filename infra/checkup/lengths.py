"""How long answers get, against the cap that generation has for them (`serving.prompt`).

Tokens are those of the base model, where it is on this machine. Else lengths are in characters, and
there is no cap to compare with: nothing is fetched for a check.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from infra.local.cache import is_whole
from infra.local.fetch import base_part
from infra.local.settings import LocalSettings
from schemas.category import Attribute
from serving.answer_cap import answer_cap
from serving.prompt_texts import answer_text
from serving.vocabulary import Vocabulary


class Lengths:
    """Lengths of answers; `limit` is `serving.max_answer_tokens`."""

    def __init__(self, vocabulary: Vocabulary | None, limit: int) -> None:
        self._vocabulary, self._limit = vocabulary, limit
        self.cap = cache(self._cap)
        self.unit: Literal["tokens", "characters"] = "tokens" if vocabulary else "characters"

    def of(self, answers: Sequence[Sequence[str]]) -> list[int]:
        """The length of each answer, of an attribute's values; tokens are with the stop."""
        texts = [answer_text(values) for values in answers]
        if self._vocabulary is None:
            return [len(text) - 1 for text in texts]
        return [len(ids) + 1 for ids in self._vocabulary.encode_all(texts)] if texts else []

    def _cap(self, attribute: Attribute) -> int | None:
        """The most tokens of an answer, its stop among them."""
        if self._vocabulary is None:
            return None
        return answer_cap(attribute, self._vocabulary, self._limit)


def base_vocabulary(settings: LocalSettings) -> Vocabulary | None:
    """The base model's, or None where it is not on this machine."""
    if settings.base_model is None:
        folder = settings.cache_dir / base_part().folder
        there = is_whole(folder)
    else:
        folder = Path(settings.base_model).expanduser()
        there = (folder / "tokenizer.json").is_file()
    if not there:
        return None
    from transformers import AutoTokenizer  # two seconds, which a check in characters saves

    return Vocabulary(AutoTokenizer.from_pretrained(folder, local_files_only=True))
