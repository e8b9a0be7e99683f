"""Listings by the base, by one adapter, and by two side by side, in turn by one engine.

The adapters change nothing (`idle_adapter`), so all compute the same tokens.

- Alone: each listing by the base and by an adapter, which is merged by then.
- In a crowd: all listings in one way, then in the next; with two adapters, every other listing is
  by the other one.
"""

import tempfile
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from infra.lab.bench.job import peak_memory_mb
from infra.lab.bench.serving.idle_adapter import idle_adapter
from infra.lab.bench.serving.turns import alone, answered, crowds
from infra.lab.bench.serving.workload import ListingPlan, Workload
from schemas.events import BASE_ADAPTER, Mode
from serving.adapter_file import blob_hash
from serving.engine.engine import Engine
from serving.generation import GenerationRequest
from serving.settings import ServingSettings

BASE, ONE, TWO, OTHER = "base", "one", "two", "other"
KINDS = (BASE, ONE, TWO)
WARMING = 5
"""Listings by each adapter beforehand: it is merged meanwhile."""

KEPT = 3
"""Decoders of one adapter or the base, so that none is made again in a later round."""


@dataclass(frozen=True)
class AdaptersJob:
    """What is measured of one set of listings by one decoder.

    Attributes:
        base: a folder. workload: a file.
        listings: alone.
        crowd: listings in a crowd, `in_flight` at a time, `rounds` times.
    """

    base: str
    workload: str
    decoder: str
    dtype: str = "auto"
    device: str = "auto"
    listings: int = 8
    crowd: int = 24
    in_flight: int = 32
    rounds: int = 2


def carry_out(job: AdaptersJob) -> dict[str, Any]:
    """Seconds and costs by kind, settings and memory."""
    started = time.perf_counter()
    plans = Workload.read(Path(job.workload)).plans
    with tempfile.TemporaryDirectory() as store:
        settings = ServingSettings.model_validate(
            {
                "dtype": job.dtype,
                "decoder": job.decoder,
                "device": job.device,
                "adapter_store": Path(store),
                "max_merged": KEPT,
            }
        )
        with Engine(settings, job.base) as engine:
            adapted = Adapted(engine, Path(job.base))
            for kind in (BASE, *[ONE] * WARMING, *[OTHER] * WARMING):
                answered(adapted, plans[-1], kind)
            warm_up_s = time.perf_counter() - started
            return {
                "alone": alone(adapted, plans[:-1][: job.listings], (BASE, ONE)),
                "crowd": crowds(adapted, plans[: job.crowd], KINDS, job.rounds, job.in_flight),
                "settings": {"dtype": engine.dtype, "decoder": engine.decoder},
                "warm_up_s": warm_up_s,
                "peak_memory_mb": peak_memory_mb(),
            }


class Adapted:
    """An engine with two adapters."""

    def __init__(self, engine: Engine, base: Path) -> None:
        self.engine = engine
        hashes = [self._pushed(base, f"idle-{number}") for number in range(2)]
        self._named = {
            BASE: cycle([BASE_ADAPTER]),
            ONE: cycle(hashes[:1]),
            OTHER: cycle(hashes[1:]),
            TWO: cycle(hashes),
        }

    def request(self, plan: ListingPlan, kind: str) -> GenerationRequest:
        """`plan` by the base, by the one adapter, or by the one whose turn it is."""
        listing, attributes = plan.question()
        named = next(self._named[kind])
        return GenerationRequest(listing, attributes, Mode.FREE, 0, named)

    def _pushed(self, base: Path, adapter_id: str) -> str:
        blob = idle_adapter(base, adapter_id)
        self.engine.push(adapter_id, blob_hash(blob), blob)
        return blob_hash(blob)
