"""The engine: requests in, attribute values out, adapters pushed while it runs.

What it promises:

- One base model in memory and a bounded number of immutable adapters. Every request names its
  adapter by hash (`base` for none), every answer carries the id and hash that produced it, and an
  adapter with requests queued or running is never evicted.
- `submit` never blocks: a full queue or an unknown adapter is raised at once, and each request
  accepted is answered exactly once, by calling `on_done` from one of the engine's threads.
- Requests decode side by side, up to `max_running`, whatever their adapters: one that is done
  leaves and one that waits enters between two forward passes. Who waits enters in the order of
  arrival.
- A request that fails fails alone. A push that fails changes nothing.

Two threads: one prepares (prompt, schema constraints, an adapter from its file), so that nothing
slow stands between the forward passes of the other, which decodes. The model is loaded by the
decoding thread too: see `serving.engine.passing_thread`.

What it knows nothing of: Triton, gRPC, Kafka, categories, champions.
"""

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import torch

from schemas.events import BASE_ADAPTER
from schemas.identity import told
from serving.adapter_file import check_adapter, read_adapter
from serving.engine.adapter_store import AdapterStore
from serving.engine.backend import AnyBackend
from serving.engine.backends import make_backend
from serving.engine.decoding import Tree
from serving.engine.loaded_adapters import LoadedAdapters
from serving.engine.model import Base, linear_shapes, load_base
from serving.engine.passing_thread import in_passing
from serving.engine.preparing import PreparedRequest, Preparer
from serving.engine.turns import Turns
from serving.errors import AdapterError, Busy, Cancelled, EngineError, EngineFailed
from serving.generation import AdapterName, EngineStatus, GenerationRequest, GenerationResult
from serving.process.memory import trim
from serving.settings import ServingSettings

logger = logging.getLogger(__name__)

Outcome = GenerationResult | EngineError
OnDone = Callable[[Outcome], None]
MakeBackend = Callable[[Base, ServingSettings, AdapterStore], AnyBackend]
CLOSING = "the engine is closing; ask again when it is back"
RUNNING = {"cpu": 8, "cuda": 64}
BARE = (None, None)  # the base has neither LoRA nor a projector
# Waiting trees enter a pass until it has this many rows: beyond, a pass is no cheaper a row, and
# those that run would only wait longer for their next token. On a GPU: what is recorded.
ENTERING_ROWS = {"cpu": 1024, "cuda": 2048}


@dataclass(eq=False)
class Task:
    """A request accepted, and where it stands."""

    request: GenerationRequest
    on_done: OnDone
    job: PreparedRequest | None = None
    alone: bool = False  # was in a pass that failed: may be what fails


class Engine:
    """See the module. Use as a context manager, or call `close`."""

    def __init__(
        self,
        settings: ServingSettings,
        base: str | Path,
        make: MakeBackend = make_backend,
    ) -> None:
        """Load the base model `base` (a folder or a hub id) and take up the adapters stored.

        `make` gives what computes the passes.

        Raises:
            ModelRefused: the base cannot be loaded or served.
            AdapterError: there can be no adapter store.
        """
        self._settings = settings
        self._base_name = base
        self._make = make
        self._changed = threading.Condition()
        self._queue: deque[Task] = deque()
        self._ready: deque[Task] = deque()  # prepared
        self._running: list[Task] = []
        self._preparing = 0
        self._in_use: Counter[str] = Counter()  # adapter hash to requests accepted, not answered
        self._passes = self._tokens = self._logits = 0
        self._closing = False
        loaded: Future[None] = Future()
        decoding = threading.Thread(
            target=self._decode, args=(loaded,), name="listune-decode", daemon=True
        )
        preparing = threading.Thread(target=self._prepare, name="listune-prepare", daemon=True)
        decoding.start()
        loaded.result()
        preparing.start()
        self._threads = (decoding, preparing)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, request: GenerationRequest, on_done: OnDone) -> None:
        """Queue `request`; `on_done` gets its result or error, from a thread of the engine's.

        Raises:
            Busy: the queue is full, or the engine is closing.
            UnknownAdapter: the adapter that it names is not here.
        """
        name = request.adapter_hash
        with self._changed:
            if self._closing:
                raise Busy(CLOSING)
            if self._waiting() >= self._settings.max_queue:
                raise Busy(f"{self._waiting()} requests are waiting; ask again later")
            if name != BASE_ADAPTER:
                self._store.use(name)
            self._in_use[name] += 1
            self._queue.append(Task(request, on_done))
            self._changed.notify_all()

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

        Callable from any thread while requests run.

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
        in_passing(lambda: check_adapter(adapter, self._shapes, self.base_hash, self._sight))
        self._loaded.load(adapter)
        with self._changed:
            self._store.put(adapter, in_use=set(self._in_use))
        # Reading took several times the adapter's size; kept by the C library, a push in so many
        # seconds would grow the engine by gigabytes.
        trim()
        logger.info("adapter %s (%s) is here", adapter.id, adapter.hash[:12])

    def adapters(self) -> tuple[AdapterName, ...]:
        """The adapters that are here, without the base."""
        return tuple(AdapterName(name, hash_) for hash_, name in self._store.ids().items())

    def status(self) -> EngineStatus:
        """What the engine is made of, how busy it is, and what it has computed so far."""
        with self._changed:
            return EngineStatus(
                self.base_hash,
                self.dtype,
                self.adapters(),
                queue=self._waiting(),
                running=len(self._running),
                forward_passes=self._passes,
                tokens_computed=self._tokens,
                logits_computed=self._logits,
            )

    def close(self) -> None:
        """Stop after the forward pass at work; whoever still waits is told to ask again later."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._backend.close()

    def _load(self) -> None:
        settings = self._settings
        if settings.threads:
            torch.set_num_threads(settings.threads)
        base = load_base(settings, self._base_name)
        self.base_hash = base.hash
        self.dtype = str(base.dtype).removeprefix("torch.")
        self._shapes = linear_shapes(base.model)
        self._sight = base.sight
        self._store = AdapterStore(
            settings.adapter_store, settings.max_adapters, base.hash, base.sight
        )
        self._backend = self._make(base, settings, self._store)
        self.decoder = self._backend.name
        self._turns = Turns(self._backend)
        self._loaded = LoadedAdapters(
            base, self._backend, self._shapes, self._store, settings.max_adapters
        )
        self._preparer = Preparer(base, settings)
        self._max_running = settings.max_running or RUNNING.get(base.device.type, 8)
        self._entering_rows = ENTERING_ROWS.get(base.device.type, 1024)

    def _waiting(self) -> int:
        return len(self._queue) + self._preparing + len(self._ready)

    def _prepare(self) -> None:
        """The preparing thread: from the queue to the tasks that are ready."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closing)
                if self._closing:
                    return
                task = self._queue.popleft()
                self._preparing = 1
            failure = self._prepared(task)
            with self._changed:
                self._preparing = 0
                if failure is None:
                    self._ready.append(task)
                self._changed.notify_all()
            if failure is not None:
                self._answer(task, failure)

    def _prepared(self, task: Task) -> EngineError | None:
        """Give `task` its job; the error where that cannot be."""
        request = task.request
        try:
            name = request.adapter_hash
            adapter = BARE if name == BASE_ADAPTER else self._loaded.get(name)
            task.job = self._preparer.prepare(request, *adapter)
        except EngineError as error:
            return error
        except Exception as error:
            return failed(request, error)
        return None

    def _decode(self, loaded: "Future[None]") -> None:
        """The decoding thread: loads, and then goes pass by pass."""
        try:
            self._load()
        except BaseException as error:
            loaded.set_exception(error)
            return
        loaded.set_result(None)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ready or self._running or self._closing)
                if self._closing:
                    self._changed.wait_for(lambda: not self._preparing)
                    left = [*self._running, *self._ready, *self._queue]
                    self._running, self._ready, self._queue = [], deque(), deque()
                    break
                self._enter()
            self._drop_unwanted()
            self._pass()
        for task in left:
            self._answer(task, Busy(CLOSING))

    def _enter(self) -> None:
        """Let ready tasks in, in order, while there is room beside those that run."""
        if not self._ready:
            return
        rows = sum(task.job.tree.rows for task in self._running if task.job)
        while self._ready and len(self._running) < self._max_running:
            task = self._ready[0]
            assert task.job is not None
            rows += task.job.tree.rows
            alone = task.alone or any(other.alone for other in self._running)
            if self._running and (alone or rows > self._entering_rows):
                return
            self._running.append(self._ready.popleft())
            task.job.start()

    def _drop_unwanted(self) -> None:
        """Ask of those that run and those that wait whether anybody still wants them."""
        for task in [*self._running, *self._ready]:
            try:
                if task.request.cancelled is None or not task.request.cancelled():
                    continue
                outcome: EngineError = Cancelled("nobody waits for this answer any more")
            except Exception as error:
                outcome = failed(task.request, error)
            self._leave(task, outcome)

    def _pass(self) -> None:
        """Go on with all that run; those that are done are answered."""
        # Side by side by adapter: each adapter's rows are one stretch.
        self._running.sort(key=lambda task: task.request.adapter_hash)
        trees = [task.job.tree for task in self._running if task.job]
        for ended in self._turns.go_on([tree for tree in trees if not tree.done]):
            if isinstance(ended.outcome, Exception):
                self._pass_failed(ended.trees, ended.outcome)
                continue
            with self._changed:
                self._passes += 1
                self._tokens += ended.outcome.tokens
                self._logits += ended.outcome.logits
        for task in [task for task in self._running if task.job and task.job.tree.done]:
            self._finish(task)

    def _finish(self, task: Task) -> None:
        assert task.job is not None
        name = task.request.adapter_hash
        try:
            adapter_id = BASE_ADAPTER if name == BASE_ADAPTER else self._store.ids()[name]
            outcome: Outcome = task.job.result(
                adapter_id, self._settings.abstain_below, self._store.calibration(name)
            )
        except Exception as error:
            outcome = failed(task.request, error)
        self._leave(task, outcome)

    def _pass_failed(self, trees: Sequence[Tree], error: Exception) -> None:
        """A pass fails all in it: where there were several, each is tried again by itself."""
        tasks = [task for task in self._running if task.job and task.job.tree in trees]
        if len(trees) == 1:
            for task in tasks:
                self._leave(task, failed(task.request, error))
            return
        logger.error(
            "a pass of %d listings failed; each is tried alone", len(trees), exc_info=error
        )
        with self._changed:
            for task in tasks:
                task.alone = True
                self._running.remove(task)
            self._queue.extendleft(reversed(tasks))
            self._changed.notify_all()

    def _leave(self, task: Task, outcome: Outcome) -> None:
        with self._changed:
            if task in self._running:
                self._running.remove(task)
            else:
                self._ready.remove(task)
        self._answer(task, outcome)

    def _answer(self, task: Task, outcome: Outcome) -> None:
        with self._changed:
            self._in_use -= Counter([task.request.adapter_hash])
        try:
            task.on_done(outcome)
        except Exception:
            logger.exception("an answer could not be delivered")


def failed(request: GenerationRequest, error: Exception) -> EngineFailed:
    """What is answered where generating went wrong by a fault of ours; logged."""
    logger.error("listing %s failed", told(request.listing.listing_id), exc_info=error)
    return EngineFailed(
        f"generation failed ({type(error).__name__}: {error}); see the engine's log"
    )
