"""A pushed adapter is tried on the canary's listings as they are, with their pictures."""

from dataclasses import replace
from typing import Any, cast

import pytest

from serving.errors import CanaryFailed
from serving.generation import GenerationResult
from serving.triton.client import TritonClient
from serving.triton.push import Canary, CanaryRequest, push_and_try
from tests.builders import make_rows
from tests.trainer.data.test_registry import make_blob
from tests.trainer.judging.test_evaluate import answer


class Remembers:
    """A server that answers nothing, and knows what it was shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, tuple[bytes, ...]]] = []

    def push(self, blob: bytes, adapter_id: str, adapter_hash: str) -> None:
        """Take it."""

    def generate(self, *asked: Any, adapter_hash: str, pictures: Any) -> GenerationResult:
        self.shown.append((adapter_hash, pictures))
        return replace(answer({}), adapter_hash=adapter_hash)


def test_adapter_and_base_are_shown_the_canarys_pictures() -> None:
    row, server = make_rows(1)[0], Remembers()
    canary = Canary((CanaryRequest(row.listing, row.attributes, (b"red",)),))
    with pytest.raises(CanaryFailed, match="exactly as the base"):
        push_and_try(cast(TritonClient, server), make_blob("a1"), "a1", canary)
    assert [pictures for _, pictures in server.shown] == [(b"red",)] * 2
