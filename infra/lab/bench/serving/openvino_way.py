"""OpenVINO GenAI: continuous batching with prefix caching, on the base model without an adapter.

The package comes with the optional extra `bench`. The model is given as GGUF (`gguf_file`), made
in another process, so that neither torch nor the converter counts in this one's memory.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from infra.lab.bench.job import NotRun
from infra.lab.bench.results import Options
from infra.lab.bench.serving import gguf_file
from infra.lab.bench.serving.conversation import Server
from infra.lab.bench.serving.workload import Workload

CACHE_GB = 2
"""Of keys and values: far more than 32 listings need, so that nothing is ever evicted."""
INSTALL = "the extra `bench` is not installed: run `make bench-serving`, which installs it"


class OpenVinoWay(Server):
    """Options: `prompting` (json, schema, 0, 4 or 1), `precision` (f32, bf16), `cache` (default,
    f32, bf16, ...: the number type of keys and values), `step_tokens` (the most in one forward
    pass).
    """

    def __init__(self, base: Path, workload: Workload, options: Options) -> None:
        try:
            import openvino
            import openvino_genai
        except ImportError as error:
            raise NotRun(f"{INSTALL} ({error})") from None
        self._genai, self._tensor = openvino_genai, openvino.Tensor
        super().__init__(workload, options)
        self._number = 0
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.enable_prefix_caching = True
        scheduler.cache_size = CACHE_GB
        scheduler.max_num_batched_tokens = int(options.get("step_tokens") or 256)
        properties: dict[str, Any] = {"INFERENCE_PRECISION_HINT": options.get("precision", "f32")}
        if options.get("cache", "default") != "default":
            properties["KV_CACHE_PRECISION"] = options["cache"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "base.gguf"
            command = [sys.executable, "-m", gguf_file.__name__, str(base), str(path)]
            subprocess.run(command, check=True, stdout=sys.stderr)
            self._pipeline = openvino_genai.ContinuousBatchingPipeline(
                str(path), scheduler_config=scheduler, device="CPU", properties=properties
            )

    def ask(self, ids: Sequence[int], cap: int, stops: Sequence[int]) -> "OpenVinoAsked":
        """Queue a prompt (see `conversation.Server`)."""
        config = self._genai.GenerationConfig()
        config.do_sample = False
        config.max_new_tokens = cap
        if stops:
            config.stop_token_ids = set(stops)
        else:
            config.min_new_tokens = cap
            config.ignore_eos = True
        self._number += 1
        tensor = self._tensor(np.array([ids], dtype=np.int64))
        handle = self._pipeline.add_request(self._number, tensor, config)
        return OpenVinoAsked(handle, self._genai.GenerationStatus.RUNNING)

    def step(self) -> None:
        """Compute one forward pass."""
        self._pipeline.step()

    def about(self) -> Options:
        """The version that ran."""
        return {"version": self._genai.__version__}

    def close(self) -> None:
        """Let go of the pipeline."""
        del self._pipeline


class OpenVinoAsked:
    """See `conversation.Asked`."""

    def __init__(self, handle: Any, running: Any) -> None:
        self._handle = handle
        self._running = running

    def started(self) -> bool:
        """Whether a token is there to be read."""
        return bool(self._handle.can_read()) or self._handle.get_status() != self._running

    def answer(self) -> list[int] | None:
        """The new tokens once it has ended."""
        if self._handle.get_status() == self._running:
            return None
        return list(self._handle.read_all()[0].generated_ids)
