"""What the stand-ins for the engine share: each call of `generate` in a thread of its own."""

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from serving.generation import GenerationRequest, GenerationResult

THREADS = ThreadPoolExecutor(32, thread_name_prefix="stand-in")


class InThreads:
    """The engine as `streams.predict.answerers.Engine` has it, over a `generate` that may block."""

    def generate(self, *asked: Any, **more: Any) -> GenerationResult:
        """The answer."""
        raise NotImplementedError

    async def ask(
        self,
        request: GenerationRequest,
        timeout_s: float | None = None,
        give_up: Future[None] | None = None,
    ) -> GenerationResult:
        """The answer."""
        call = partial(
            self.generate,
            request.listing,
            request.attributes,
            mode=request.mode,
            adapter_hash=request.adapter_hash,
            timeout_s=timeout_s,
            example=request.example,
            give_up=give_up,
            pictures=request.pictures,
        )
        return await asyncio.get_running_loop().run_in_executor(THREADS, call)
