"""Adapters pushed into a real Triton while listings are asked for: is one lost, or slower?

So many listings are always asked for, each by the adapter that was pushed last. It goes calmly
first, then with a new adapter every few seconds, then calmly again, so that a machine that gets
busier meanwhile can be told from what pushes cost. The adapters change nothing (`idle_adapter`), so
all compute the same; that each answers by its own weights is shown by a test
(tests/serving/engine/test_swapping.py).
"""

import itertools
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import torch

from infra.lab.bench.job import say
from infra.lab.bench.serving.idle_adapter import idle_adapter
from infra.lab.bench.serving.workload import ListingPlan, Workload
from infra.local.ports import free_port
from infra.local.supervisor import Supervisor
from infra.local.triton import Triton
from infra.machine import REPOSITORY
from schemas.events import Mode
from serving.adapter_file import blob_hash
from serving.engine.openvino.support import Unsuited, check_machine
from serving.errors import ServingError
from serving.generation import AdapterName
from serving.settings import ServingSettings
from serving.triton.client import TritonClient

CALM, PUSHES, AFTER = "calm", "pushes", "calm again"
PHASES = (CALM, PUSHES, AFTER)
TRITON = "triton"
PAUSE_S = 1.0
"""After a request that failed: a server that is gone is not knocked at by the thousand."""


@dataclass(frozen=True)
class PushesJob:
    """What is measured.

    Attributes:
        base, triton: folders. workload: a file.
        in_flight: listings that are asked for at any time.
        pushes: so many, one every `every_s` seconds, or at once where one takes longer.
        calm_s: seconds without pushes, before them and after them.
        max_adapters: the engine keeps so many.
    """

    base: str
    triton: str
    workload: str
    dtype: str = "auto"
    device: str = "auto"
    in_flight: int = 8
    pushes: int = 30
    every_s: float = 5.0
    calm_s: float = 60.0
    max_adapters: int = ServingSettings().max_adapters


@dataclass(frozen=True)
class Asked:
    """A request that came to its end.

    phase: in which it was asked. failed: why there is no answer, in a sentence. by_named: whether
    the adapter that it named answered.
    """

    phase: str
    seconds: float
    failed: str = ""
    by_named: bool = True


def carry_out(job: PushesJob) -> dict[str, Any]:
    """Every request, the seconds of each phase and push, and the memory.

    That is of Triton with its engine: at the end of the calm phase, after each push, at the end.

    Raises:
        SupervisorError: Triton does not come up.
        ServingError: a push is refused.
    """
    plans = Workload.read(Path(job.workload)).plans
    with tempfile.TemporaryDirectory() as name, ExitStack() as ending:
        settings, server = set_up(job, Path(name))
        supervisor = ending.enter_context(Supervisor([server.spec(TRITON)], Path(name) / "run"))
        client = ending.enter_context(TritonClient(settings))
        pushing = Pushing(client, Path(job.base))
        first = pushing.push()
        asking = ending.enter_context(Asking(client, plans, job.in_flight, first))
        phase_s = {}
        memory_mb = []
        for phase in PHASES:
            began = asking.enter(phase)
            if phase == PUSHES:
                for number in range(job.pushes):
                    say(number, job.pushes, "pushes")
                    asking.champion = pushing.push()
                    memory_mb.append(resident_mb(supervisor.pid(TRITON)))
                    time.sleep(max(0.0, began + (number + 1) * job.every_s - time.monotonic()))
            else:
                say(0, 1, phase)
                time.sleep(job.calm_s)
                memory_mb.append(resident_mb(supervisor.pid(TRITON)))
            phase_s[phase] = time.monotonic() - began
        asking.stop()
        return {
            "asked": [asdict(one) for one in asking.asked],
            "phase_s": phase_s,
            "push_s": pushing.seconds[1:],
            "memory_mb": memory_mb,
            "deaths": supervisor.restarts(TRITON),
            "settings": {"dtype": client.status().dtype, "decoder": settings.decoder},
        }


def set_up(job: PushesJob, folder: Path) -> tuple[ServingSettings, Triton]:
    """The compiled decoder where this machine has it, in a Triton of its own."""
    port = free_port()
    settings = ServingSettings.model_validate(
        {
            "base_model": job.base,
            "dtype": job.dtype,
            "decoder": decoder_here(),
            "device": job.device,
            "mode": Mode.FREE,
            "max_adapters": job.max_adapters,
            "adapter_store": folder / "store",
            "triton_url": f"127.0.0.1:{port}",
            "timeout_s": 300.0,
        }
    )
    server = Triton(
        home=Path(job.triton),
        model_repository=REPOSITORY / "serving" / "model_repository",
        work_dir=folder / "triton",
        grpc_port=port,
        metrics_port=free_port([port]),
        env={"LISTUNE_SERVING": settings.model_dump_json()},
    )
    return settings, server


def decoder_here() -> str:
    """Named, so that the row can say it."""
    try:
        check_machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    except Unsuited:
        return "torch"
    return "openvino"


class Pushing:
    """Pushes one new adapter after the other."""

    def __init__(self, client: TritonClient, base: Path) -> None:
        self.seconds: list[float] = []
        self._client = client
        self._base = base

    def push(self) -> AdapterName:
        """Returns when the engine has it."""
        adapter_id = f"pushed-{len(self.seconds)}"
        blob = idle_adapter(self._base, adapter_id)
        began = time.perf_counter()
        self._client.push(blob, adapter_id, blob_hash(blob))
        self.seconds.append(time.perf_counter() - began)
        return AdapterName(adapter_id, blob_hash(blob))


class Asking:
    """Clients that ask for one listing after the other while the block lasts."""

    def __init__(
        self, client: TritonClient, plans: list[ListingPlan], clients: int, champion: AdapterName
    ) -> None:
        """Each asks by whoever is `champion` then."""
        self.asked: list[Asked] = []
        self.champion = champion
        self._phase = CALM
        self._client = client
        self._questions = [plan.question() for plan in plans]
        self._turn = itertools.count()
        self._done = threading.Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = clients

    def __enter__(self) -> Self:
        warm_up = self._questions[-1]
        self._client.generate(*warm_up, batches=0, adapter_hash=self.champion.hash)
        self._asking = [self._pool.submit(self._ask_on) for _ in range(self._clients)]
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._pool.shutdown()

    def enter(self, phase: str) -> float:
        """What is asked from now on is of `phase`; the time."""
        self._phase = phase
        return time.monotonic()

    def stop(self) -> None:
        """Returns when all that was asked for has come to its end."""
        self._done.set()
        for one in self._asking:
            one.result()

    def _ask_on(self) -> None:
        while not self._done.is_set():
            listing, attributes = self._questions[next(self._turn) % len(self._questions)]
            phase, champion, began = self._phase, self.champion, time.perf_counter()
            try:
                result = self._client.generate(
                    listing, attributes, batches=0, adapter_hash=champion.hash
                )
            except ServingError as error:
                self.asked.append(Asked(phase, time.perf_counter() - began, str(error)))
                self._done.wait(PAUSE_S)
                continue
            by_named = (result.adapter_id, result.adapter_hash) == (champion.id, champion.hash)
            self.asked.append(Asked(phase, time.perf_counter() - began, by_named=by_named))


def resident_mb(pid: int | None) -> float:
    """The memory that a process and its children have resident, in MB; 0 where it is gone."""
    try:
        own = psutil.Process(pid)
        every = [own, *own.children(recursive=True)]
        return sum(process.memory_info().rss for process in every) / 1e6
    except psutil.Error:
        return 0.0
