"""A tokenizer, and what exactness needs to know of it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any


class Vocabulary:
    """A transformers tokenizer with the few facts about it that exactness needs."""

    def __init__(self, tokenizer: Any, end_ids: Sequence[int] = ()) -> None:
        """`end_ids` are the end tokens of the model's generation config."""
        self.tokenizer = tokenizer
        self._end_ids = set(end_ids)
        if tokenizer.eos_token_id is not None:
            self._end_ids.add(tokenizer.eos_token_id)

    @cached_property
    def size(self) -> int:
        """How many tokens there are; a model may have more logits."""
        return len(self.tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, without special tokens."""
        return self.tokenizer.encode(text, add_special_tokens=False)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each of `texts`, in a third of the time: there may be ten thousand."""
        backend = self.tokenizer.backend_tokenizer
        # As `encode` does: a tokenizer may have been saved with either.
        backend.no_truncation()
        backend.no_padding()
        return [e.ids for e in backend.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`. Cleaning up spaces would damage values, so it is not done.

        By the backend, as `encode_all`: a listing has fifty answers of few tokens each.
        """
        return self.tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=True)

    @cached_property
    def newline(self) -> int:
        """The canonical newline token."""
        ids = self.encode("\n")
        if len(ids) != 1:
            raise ValueError(
                "the tokenizer has no single newline token; choose a base model with one"
            )
        return ids[0]

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """The end tokens and every token whose text contains a newline."""
        texts = self.tokenizer.batch_decode(
            [[i] for i in range(self.size)], clean_up_tokenization_spaces=False
        )
        newlines = {i for i, text in enumerate(texts) if "\n" in text}
        return frozenset(newlines | self._end_ids)

    @cached_property
    def stops(self) -> list[int]:
        """`stop_ids` in order."""
        return sorted(self.stop_ids)
