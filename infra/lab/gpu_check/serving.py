"""How fast the engine answers on this device: alone and in crowds, by one adapter and by many.

The real base, and one of a larger shape with random weights, which cost what trained ones do.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

from infra.lab.bench.results import ArmResult, Figures, Options
from infra.lab.bench.serving.listune_way import answer_all, counts
from infra.lab.bench.serving.naive_way import NaiveWay
from infra.lab.bench.serving.workload import ListingPlan, Workload
from infra.lab.gpu_check.adapters import random_adapter
from infra.lab.gpu_check.place import WORKLOAD, Place
from infra.lab.gpu_check.reference import serving_settings
from schemas.events import Mode
from serving.adapter_file import blob_hash
from serving.engine.engine import Engine
from serving.engine.model import linear_shapes
from serving.generation import GenerationRequest, GenerationResult

REAL, RANDOM = "135M", "1.7B shape, random"
ONE = 1


def real(place: Place) -> Iterator[ArmResult]:
    """The bundled base by `generate`, then by the engine."""
    workload = Workload.read(place.part(WORKLOAD))
    yield from naive(place, workload)
    yield from _measure(place, REAL, Path(place.base), workload, place.sizes.rank)


def random(place: Place) -> Iterator[ArmResult]:
    """A base of a larger shape with random weights."""
    workload = Workload.read(place.part(WORKLOAD))
    base = make_random(place)
    yield from _measure(place, RANDOM, base, workload, place.sizes.random_rank)


def naive(place: Place, workload: Workload) -> Iterator[ArmResult]:
    """One JSON object by transformers' `generate`, a listing at a time."""
    way = NaiveWay(Path(place.base), workload, {"dtype": "bfloat16"})
    way.answer(workload.plans[-1])
    seconds = []
    for plan in workload.plans[: place.sizes.naive]:
        started = time.perf_counter()
        way.answer(plan)
        seconds.append(time.perf_counter() - started)
    settings: Options = {"stage": "serving", "model": REAL, "arm": "generate", "in_flight": ONE}
    yield _row(f"{REAL}, naive JSON by generate", settings, seconds, len(seconds) / sum(seconds))


def _measure(
    place: Place, model: str, base: Path, workload: Workload, rank: int
) -> Iterator[ArmResult]:
    sizes = place.sizes
    settings = serving_settings(place, "bfloat16").model_copy(
        update={"adapter_store": place.made(f"store-{model.split()[0]}")}
    )
    if model == RANDOM:
        settings = settings.model_copy(update={"max_answer_tokens": sizes.random_cap})
    with Engine(settings, base) as engine:
        hashes = push_adapters(engine, base, sizes.adapters, rank)
        for mode in Mode:
            for adapters in (ONE, sizes.adapters):
                if mode is not Mode.FREE and adapters != ONE:
                    continue
                asked = Asked(engine, workload.plans, mode, hashes[:adapters])
                for in_flight in sizes.in_flight:
                    told: Options = {
                        "stage": "serving", "model": model, "arm": "listune",
                        "mode": mode.value, "adapters": adapters, "rank": rank,
                        "in_flight": in_flight, "dtype": engine.dtype,
                    }  # fmt: skip
                    who = f"{adapters} adapter{'s' if adapters > 1 else ''}"
                    name = f"{model}, {mode.value}, {who}, {in_flight} in flight"
                    yield (
                        asked.alone(name, told, sizes.alone)
                        if in_flight == ONE
                        else (asked.crowd(name, told, in_flight, sizes.crowd_s, sizes.crowd_most))
                    )


class Asked:
    """Listings in turn, and in turn by these adapters; no two measurements begin with the same."""

    def __init__(
        self, engine: Engine, plans: list[ListingPlan], mode: Mode, hashes: list[str]
    ) -> None:
        self._engine = engine
        self._asked = [plan.question() for plan in plans]
        self._mode = mode
        self._hashes = hashes
        self._next = 0

    def alone(self, name: str, told: Options, listings: int) -> ArmResult:
        """One listing at a time."""
        self._engine.generate(self._request())
        results: list[GenerationResult] = []
        seconds = []
        for _ in range(listings):
            request = self._request()
            started = time.perf_counter()
            results.append(self._engine.generate(request))
            seconds.append(time.perf_counter() - started)
        row = _row(name, told, seconds, len(seconds) / sum(seconds))
        for count in ("forward_passes", "tokens_computed"):
            row.figures[f"{count}_per_listing"] = fmean(getattr(r, count) for r in results)
        return row

    def crowd(
        self, name: str, told: Options, in_flight: int, wanted_s: float, most: int
    ) -> ArmResult:
        """`in_flight` at a time, for about so many seconds; the first round warms up."""
        started = time.perf_counter()
        answer_all(self._engine, [self._request() for _ in range(in_flight)], in_flight)
        round_s = time.perf_counter() - started
        count = min(most, in_flight * max(2, round(wanted_s / round_s)))
        before = counts(self._engine)
        started = time.perf_counter()
        seconds = answer_all(self._engine, [self._request() for _ in range(count)], in_flight)
        spent = time.perf_counter() - started
        row = _row(name, told, seconds, count / spent)
        done = counts(self._engine) - before
        row.figures["tokens_computed_per_listing"] = done["tokens_computed"] / count
        row.figures["forward_passes"] = done["forward_passes"]
        return row

    def _request(self) -> GenerationRequest:
        listing, attributes = self._asked[self._next % len(self._asked)]
        adapter = self._hashes[self._next % len(self._hashes)]
        self._next += 1
        return GenerationRequest(listing, attributes, self._mode, adapter_hash=adapter)


def push_adapters(engine: Engine, base: Path, count: int, rank: int) -> list[str]:
    """The hashes of `count` adapters that are here from now on."""
    with torch.device("meta"):
        shapes = linear_shapes(AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base)))
    hashes = []
    for number in range(count):
        blob = random_adapter(shapes, engine.base_hash, number, rank)
        hashes.append(blob_hash(blob))
        engine.push(f"gpu-check-{number}", hashes[-1], blob)
    return hashes


def make_random(place: Place) -> Path:
    """The folder of the base of a larger shape; its tokenizer is the real one's."""
    folder = place.made("random-base")
    if (folder / "config.json").is_file():
        return folder
    tokenizer = AutoTokenizer.from_pretrained(place.base)
    shape: dict[str, Any] = place.sizes.random_shape
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shape,
    )
    torch.manual_seed(0)
    with torch.device(place.device):
        model: Any = LlamaForCausalLM(config)
    model = model.to(torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _row(name: str, told: Options, seconds: list[float], per_s: float) -> ArmResult:
    figures: Figures = {
        "listings": len(seconds),
        "p50_s": float(np.percentile(seconds, 50)),
        "p90_s": float(np.percentile(seconds, 90)),
        "listings_per_s": per_s,
        "gpu_memory_mb": torch.cuda.max_memory_allocated() / 1e6
        if torch.cuda.is_available()
        else None,
    }
    return ArmResult(name, told, figures, {"listing_s": seconds})
