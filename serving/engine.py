"""The engine: requests in, attribute values out, adapters pushed while it runs.

What it promises:

- One base model in memory and a bounded number of immutable adapters. Every request names its
  adapter by hash (`base` for none), every answer carries the id and hash that produced it, and an
  adapter with requests queued or running is never evicted.
- `submit` never blocks: a full queue or an unknown adapter is raised at once, and each request
  accepted is answered exactly once, by calling `on_done` from the engine's thread.
- A request that fails fails alone. A push that fails changes nothing.

What it knows nothing of: Triton, gRPC, Kafka, categories, champions. Requests are answered one by
one in the order of arrival.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from schemas.events import BASE_ADAPTER
from serving.adapter_store import AdapterStore
from serving.adapters import check_adapter, read_adapter
from serving.errors import AdapterError, Busy, Cancelled, EngineError, EngineFailed, UnknownAdapter
from serving.generation import (
    AdapterName,
    EngineStatus,
    GenerationRequest,
    GenerationResult,
    Generator,
)
from serving.model import linear_shapes, load_base
from serving.settings import ServingSettings
from serving.tree_generator import TreeGenerator

logger = logging.getLogger(__name__)

Outcome = GenerationResult | EngineError
OnDone = Callable[[Outcome], None]
CLOSING = "the engine is closing; ask again when it is back"


class Engine:
    """See the module. Use as a context manager, or call `close`."""

    def __init__(self, settings: ServingSettings, base: str | Path) -> None:
        """Load the base model `base` (a folder or a hub id) and take up the adapters stored.

        Raises:
            ModelRefused: the base cannot be loaded or served.
        """
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._settings = settings
        loaded = load_base(settings, base)
        self.base_hash = loaded.hash
        self.dtype = str(loaded.dtype).removeprefix("torch.")
        self._shapes = linear_shapes(loaded.model)
        self._store = AdapterStore(settings.adapter_store, settings.max_adapters, loaded.hash)
        self._generator: Generator = TreeGenerator(loaded, self._store, settings)
        self._changed = threading.Condition()
        self._queue: deque[tuple[GenerationRequest, OnDone]] = deque()
        self._in_use: Counter[str] = Counter()  # adapter hash to requests queued or running
        self._running = 0
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="listune-engine", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, request: GenerationRequest, on_done: OnDone) -> None:
        """Queue `request`; `on_done` gets its result or error, from the engine's thread.

        Raises:
            Busy: the queue is full, or the engine is closing.
            UnknownAdapter: the adapter that it names is not here.
        """
        name = request.adapter_hash
        with self._changed:
            if self._closing:
                raise Busy(CLOSING)
            if len(self._queue) >= self._settings.max_queue:
                raise Busy(f"{len(self._queue)} requests are waiting; ask again later")
            if name != BASE_ADAPTER and name not in self._store.ids():
                raise UnknownAdapter(f"no adapter {name[:12]} here; push it and ask again")
            self._in_use[name] += 1
            self._queue.append((request, on_done))
            self._changed.notify()

    def generate(self, request: GenerationRequest) -> GenerationResult:
        """Answer `request` and wait for it.

        Raises:
            EngineError: as `submit` raises, or what became of the request.
        """
        done = threading.Event()
        outcomes: list[Outcome] = []

        def take(outcome: Outcome) -> None:
            outcomes.append(outcome)
            done.set()

        self.submit(request, take)
        done.wait()
        if isinstance(outcomes[0], EngineError):
            raise outcomes[0]
        return outcomes[0]

    def push(self, adapter_id: str, adapter_hash: str, blob: bytes) -> None:
        """Check an adapter and keep it beside the live ones; the same one again changes nothing.

        It is merged at its first request. Callable from any thread while requests run.

        Raises:
            AdapterError: another hash or id than announced, an id already taken, or an adapter
                that does not fit the base; everything stays as it was.
        """
        adapter = read_adapter(blob)
        if adapter.hash != adapter_hash:
            raise AdapterError(
                f"the bytes of {adapter_id!r} have hash {adapter.hash[:12]}, announced was "
                f"{adapter_hash[:12]}; send them again"
            )
        if adapter.id != adapter_id:
            raise AdapterError(
                f"the bytes announced as {adapter_id!r} call themselves {adapter.id!r}; "
                "announce them by their own id"
            )
        check_adapter(adapter, self._shapes, self.base_hash)
        with self._changed:
            self._store.put(adapter, in_use=set(self._in_use))
        logger.info("adapter %s (%s) is here", adapter.id, adapter.hash[:12])

    def adapters(self) -> tuple[AdapterName, ...]:
        """The adapters that are here, without the base."""
        return tuple(AdapterName(name, hash_) for hash_, name in self._store.ids().items())

    def status(self) -> EngineStatus:
        """What the engine is made of and how busy it is."""
        with self._changed:
            queue, running = len(self._queue), self._running
        return EngineStatus(self.base_hash, self.dtype, self.adapters(), queue, running)

    def close(self) -> None:
        """Stop after the forward pass at work; whoever still waits is told to ask again later."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if not self._queue:
                    return
                request, on_done = self._queue.popleft()
                self._running = 1
                closing = self._closing
            outcome = Busy(CLOSING) if closing else self._answer(request)
            with self._changed:
                self._running = 0
                self._in_use -= Counter([request.adapter_hash])
            try:
                on_done(outcome)
            except Exception:
                logger.exception("an answer could not be delivered")

    def _answer(self, request: GenerationRequest) -> Outcome:
        def unwanted() -> bool:
            return self._closing or (request.cancelled is not None and request.cancelled())

        try:
            return self._generator.generate(replace(request, cancelled=unwanted))
        except EngineError as error:
            return Busy(CLOSING) if self._closing and isinstance(error, Cancelled) else error
        except Exception as error:
            logger.exception("listing %s failed", request.listing.listing_id)
            return EngineFailed(
                f"generation failed ({type(error).__name__}: {error}); see the engine's log"
            )
