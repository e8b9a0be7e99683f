"""The naive way: one prompt with the whole schema, one JSON object by transformers' `generate`.

Greedy, one listing at a time, with its key-value cache. It writes exactly as many tokens as a
complete answer has: a base model may stop early or babble on, and neither would say what a full
answer costs. The answer is begun for it (`{"`), so that JSON is what it writes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar

from infra.lab.bench.results import Options
from infra.lab.bench.serving.arm import AnswerCost
from infra.lab.bench.serving.workload import ListingPlan, Workload


class NaiveWay:
    """Options: `dtype`, `float32` or `bfloat16`."""

    def __init__(self, base: Path, workload: Workload, options: Options) -> None:
        disable_progress_bar()
        self._dtype = str(options["dtype"])
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = getattr(torch, self._dtype)
        model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=dtype)
        self._model = model.to(self._device).eval()

    @torch.inference_mode()
    def answer(self, plan: ListingPlan) -> AnswerCost:
        """Write one listing's JSON object."""
        prompt = torch.tensor([plan.json_prompt], device=self._device)
        written = self._model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            do_sample=False,
            min_new_tokens=plan.json_tokens,
            max_new_tokens=plan.json_tokens,
        )
        new = written.shape[1] - prompt.shape[1]
        return AnswerCost(
            forward_passes=new,
            tokens_computed=prompt.shape[1] + new - 1,
            tokens_generated=new,
        )

    def answer_all(
        self, plans: Sequence[ListingPlan], in_flight: int, done: Callable[[], None]
    ) -> AnswerCost:
        """It has one stream only; its listings a second are those of one at a time."""
        raise NotImplementedError

    def about(self) -> Options:
        """The number type that it computes in."""
        return {"dtype": self._dtype}

    def close(self) -> None:
        """There is nothing to close."""
