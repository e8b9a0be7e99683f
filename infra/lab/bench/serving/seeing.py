"""Listings with a picture beside the same listings without, in one process by one engine.

They take turns (`turns`). Three kinds:
`none` has no picture, `new` one that was never seen before, `kept` one whose features are kept.

- Alone: each listing in all kinds, one after the other.
- In a crowd: all listings in one kind, then in the next.
- Waits: whether those who send text alone wait longer while every second request has a picture.
  Listings of few attributes, for which a picture weighs more.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from infra.lab.bench.job import peak_memory_mb
from infra.lab.bench.photographs import KEPT, NEW, NONE, sent
from infra.lab.bench.serving.idle_adapter import idle_adapter
from infra.lab.bench.serving.listune_way import answer_all
from infra.lab.bench.serving.turns import alone, answered, crowds, in_turn
from infra.lab.bench.serving.workload import ListingPlan, Workload
from schemas.events import Mode
from serving.adapter_file import blob_hash
from serving.engine.engine import Engine
from serving.engine.eyes.encoder import Encoder, load_encoder
from serving.engine.eyes.encoder_eyes import EncoderEyes
from serving.engine.eyes.projector import fresh
from serving.engine.passing_thread import in_passing
from serving.generation import GenerationRequest
from serving.pictures.picture import Picture
from serving.projector import Sight
from serving.settings import ServingSettings

KINDS = (NONE, NEW, KEPT)
ADAPTER_ID = "seeing"
EDGE = ServingSettings().picture_edge


@dataclass(frozen=True)
class SeeingJob:
    """What is measured of one set of listings.

    Attributes:
        base, encoder: folders. workload: a file.
        listings: alone.
        crowd: listings in a crowd, `in_flight` at a time, `crowd_rounds` times; 0 leaves it out.
        waits: listings of `few` attributes, `waits_in_flight` at a time, `waits_rounds` times; 0
            leaves it out.
    """

    base: str
    encoder: str
    workload: str
    dtype: str = "auto"
    device: str = "auto"
    listings: int = 12
    crowd: int = 36
    in_flight: int = 32
    crowd_rounds: int = 2
    waits: int = 48
    waits_in_flight: int = 8
    waits_rounds: int = 5
    few: int = 10


def carry_out(job: SeeingJob) -> dict[str, Any]:
    """Seconds and costs by kind, milliseconds of the eyes, settings and memory."""
    started = time.perf_counter()
    plans = Workload.read(Path(job.workload)).plans
    with tempfile.TemporaryDirectory() as store:
        settings = ServingSettings.model_validate(
            {
                "dtype": job.dtype,
                "device": job.device,
                "encoder": job.encoder,
                "pictures": 1,
                "adapter_store": Path(store),
            }
        )
        encoder = load_encoder(Path(job.encoder), torch.device("cpu"))
        with Engine(settings, job.base) as engine:
            sight = EncoderEyes(encoder, _hidden(Path(job.base))).sight
            seeing = Seeing(engine, Path(job.base), sight)
            # The last listing warms up, and merges the adapter.
            for kind in (*KINDS, NONE):
                answered(seeing, plans[-1], kind)
            warm_up_s = time.perf_counter() - started
            return {
                "alone": alone(seeing, plans[:-1][: job.listings], KINDS),
                "crowd": crowds(seeing, plans[: job.crowd], KINDS, job.crowd_rounds, job.in_flight),
                "waits": waits(seeing, plans, job),
                "settings": {"dtype": engine.dtype},
                "warm_up_s": warm_up_s,
                "peak_memory_mb": peak_memory_mb(),
                "eyes_ms": eyes_ms(encoder, sight),
                "text_rows": statistics.fmean(len(plan.trunk) for plan in plans),
                "picture_rows": sight.rows,
            }


class Seeing:
    """An engine with an adapter that sees, and pictures for it."""

    def __init__(self, engine: Engine, base: Path, sight: Sight) -> None:
        blob = idle_adapter(base, ADAPTER_ID, sight)
        self.engine = engine
        self._adapter = blob_hash(blob)
        engine.push(ADAPTER_ID, self._adapter, blob)
        self._new = sent(EDGE)
        self._kept = next(self._new)

    def request(self, plan: ListingPlan, kind: str, few: int | None = None) -> GenerationRequest:
        """`plan`, or the first `few` of its attributes, with a picture of that kind."""
        listing, attributes = plan.question()
        shown = {NONE: (), KEPT: (self._kept,)}
        return GenerationRequest(
            listing,
            attributes[:few],
            adapter_hash=self._adapter,
            mode=Mode.FREE,
            batches=0,
            pictures=shown[kind] if kind in shown else (next(self._new),),
        )


def waits(
    seeing: Seeing, plans: Sequence[ListingPlan], job: SeeingJob
) -> dict[str, list[list[float]]]:
    """Seconds of those without a picture, by the kind of the others: a list a round."""
    found: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    label = f"{job.waits_in_flight} at a time, half without"
    for kind in in_turn(KINDS, job.waits_rounds if job.waits else 0, label):
        requests = [
            seeing.request(plans[place % len(plans)], kind if place % 2 else NONE, job.few)
            for place in range(job.waits)
        ]
        found[kind].append(answer_all(seeing.engine, requests, job.waits_in_flight)[::2])
    return found


def eyes_ms(encoder: Encoder, sight: Sight, times: int = 16) -> dict[str, float]:
    """Median milliseconds of a new picture's parts, computed as the engine does, nothing beside."""
    projector = fresh(sight, torch.zeros(1, sight.hidden), seed=0).requires_grad_(False)
    measured: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        made = work()
        measured.setdefault(name, []).append(1e3 * (time.perf_counter() - began))
        return made

    def look(picture: Picture) -> None:
        pixels = timed("decode", picture.pixels)
        features = timed("encode", lambda: encoder.features([pixels]))
        timed("project", lambda: projector(features))

    for picture in map(Picture, islice(sent(EDGE), times + 1)):
        timed("all", partial(in_passing, partial(look, picture)))
    return {name: statistics.median(values[1:]) for name, values in measured.items()}


def _hidden(base: Path) -> int:
    from transformers import AutoConfig

    return int(AutoConfig.from_pretrained(base).get_text_config().hidden_size)
