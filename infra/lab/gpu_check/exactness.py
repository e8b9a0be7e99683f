"""Whether the GPU answers what the CPU answers: the same token ids, listing by listing."""

import time
from collections.abc import Iterator

from infra.lab.bench.results import ArmResult, Figures, Options
from infra.lab.bench.serving.workload import Workload
from infra.lab.gpu_check.adapters import random_adapter
from infra.lab.gpu_check.place import REFERENCE, WORKLOAD, Place
from infra.lab.gpu_check.reference import (
    Listed,
    Reference,
    all_answers,
    answers,
    serving_settings,
)
from schemas.events import Mode
from serving.adapter_file import read_adapter
from serving.engine.backend import Adapter
from serving.engine.gpu.choice import MakePasses, first_pages
from serving.engine.model import Base, linear_shapes, load_base
from serving.engine.torch_backend import TorchBackend
from serving.engine.tree_cache import PlainPasses

EXACT, ROUNDED = "float32", "bfloat16"
RECORDED = "ours, recorded"


def measure(place: Place) -> Iterator[ArmResult]:
    """A row for each mode, with and without adapters; in fp32, and in bf16 for comparison."""
    expected = Reference.read(place.part(REFERENCE)).answers
    for dtype in (EXACT, ROUNDED):
        for arm, given in all_answers(place, dtype).items():
            yield compared(arm, dtype, given, expected[arm])


def kernels(place: Place) -> Iterator[ArmResult]:
    """All listings of the workload at once, by PyTorch's operations, and by kernels of our own
    launched and recorded where these were chosen: by the base, and by as many adapters as there may
    be."""
    settings = serving_settings(place, ROUNDED)
    base = load_base(settings, place.base)
    shapes, sizes = linear_shapes(base.model), place.sizes
    plans = Workload.read(place.part(WORKLOAD)).plans
    blobs = [
        random_adapter(shapes, base.hash, number, sizes.rank)
        for number in range(min(sizes.adapters, len(plans)))
    ]
    chosen = ways(base)
    for name, passes in chosen.items():
        backend = TorchBackend(base.decoder, first=first_pages(base.decoder.shape), passes=passes)
        many = [backend.take(read_adapter(blob), shapes) for blob in blobs]
        who: dict[int, list[Adapter | None]] = {0: [None], len(many): [*many]}
        for count, loras in who.items():
            answers(base, backend, settings, plans, Mode.FREE, loras)
            started = time.perf_counter()
            answers(base, backend, settings, plans, Mode.FREE, loras)
            figures: Figures = {"seconds": time.perf_counter() - started, "listings": len(plans)}
            told: Options = {"stage": "kernels", "kernels": name, "adapters": count}
            yield ArmResult(f"kernels: {name}, {count} adapters", told, figures)
    if RECORDED not in chosen:
        why = "recorded passes were not chosen; the stage's log says why, and on a CPU never are"
        yield ArmResult(f"kernels: {RECORDED}", {"stage": "kernels"}, not_run=why)


def ways(base: Base) -> dict[str, MakePasses]:
    """What computes passes, from the slowest on, up to what was chosen."""
    found: dict[str, MakePasses] = {"PyTorch's": PlainPasses}
    if base.passes is PlainPasses:
        return found
    from serving.engine.gpu.passes import KernelPasses

    found["ours"] = KernelPasses
    return found if base.passes is KernelPasses else found | {RECORDED: base.passes}


def compared(arm: str, dtype: str, given: Listed, expected: Listed) -> ArmResult:
    """How many of the `expected` answers (fp32, CPU) have the very same token ids in `given`.

    `confidence_error` is the greatest relative difference of a confidence where the ids are equal.
    """
    pairs = [
        (ours[name], answer)
        for ours, theirs in zip(given, expected, strict=True)
        for name, answer in theirs.items()
    ]
    same = [(ours, theirs) for ours, theirs in pairs if ours.ids == theirs.ids]
    errors = [abs(o.confidence - t.confidence) / max(t.confidence, 1e-30) for o, t in same]
    figures: Figures = {
        "answers": len(pairs),
        "same_answers": len(same),
        "same_share": len(same) / len(pairs),
        "confidence_error": max(errors, default=None),
    }
    settings: Options = {"stage": "exactness", "arm": arm, "dtype": dtype}
    return ArmResult(f"as on the CPU: {arm}, {dtype}", settings, figures)
