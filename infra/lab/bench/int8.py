"""Why the engine has no int8 weights: what they would save, and what they would change.

    python -m infra.lab.bench.int8

Two questions. How fast are the int8 products that PyTorch has on this CPU, beside the packed bf16
ones that the engine uses? And how many of the values that the base model gives in fp32 stay the
same when weights, or weights and activations, are rounded to int8 (symmetric, weights by output
channel; the head stays as it is)? The rounding is simulated in fp32, so that it is the same on any
machine; a real kernel could only round more.
"""

import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from infra import progress
from infra.lab.bench.chart import draw_bars
from infra.lab.bench.flops import DecoderSizes
from infra.lab.bench.listings import generated
from infra.lab.bench.publish import bench_folder, publish
from infra.lab.bench.results import ArmResult, Figures, begin
from infra.local.fetch import ensure_base_model
from infra.settings import load_settings
from schemas.events import Mode
from serving.engine import decoder as decoder_module
from serving.engine import model as model_module
from serving.engine.engine import Engine
from serving.engine.linear import PackedLinear
from serving.generation import GenerationRequest
from serving.settings import ServingSettings

LISTINGS = 6
ROWS = (1, 16, 50, 256)
TRIES = 4
LEVELS = 127
# The head is the largest matrix, and its rounding would move every choice.
HEAD_ROWS = 40_000

Multiply = Callable[[torch.Tensor], torch.Tensor]


def rounded(x: torch.Tensor, dim: int | None) -> torch.Tensor:
    """`x` at int8 precision, with a scale along `dim` or, for None, one for all of it."""
    largest = x.abs().max() if dim is None else x.abs().amax(dim, keepdim=True)
    scale = largest.clamp_min(1e-12) / LEVELS
    return (x / scale).round() * scale


def rounding_linear(activations: Callable[[torch.Tensor], torch.Tensor]) -> type[PackedLinear]:
    """A linear layer with int8 weights and these activations."""

    class Rounding(PackedLinear):
        def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
            super().__init__(weight if len(weight) > HEAD_ROWS else rounded(weight, 1), bias)

        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return super().__call__(activations(x))

        def activated(self, x: torch.Tensor, activation: Any) -> torch.Tensor:
            return super().activated(activations(x), activation)

        def times(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return super().times(activations(x), other)

        def plus(self, x: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return super().plus(activations(x), other)

    return Rounding


def values(base: Path, dtype: str, linear: type[PackedLinear]) -> dict[tuple[str, str, str], Any]:
    """Value or illegal text by (mode, listing, attribute), of the base model with `linear`."""
    kept = decoder_module.PackedLinear, model_module.check
    decoder_module.PackedLinear = linear  # type: ignore[misc]
    model_module.check = lambda *_: None  # it would refuse what is rounded so far
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings = ServingSettings(dtype=dtype, device="cpu", adapter_store=Path(folder))
            with Engine(settings, base) as engine:
                given: dict[tuple[str, str, str], Any] = {}
                for question in generated(LISTINGS):
                    for mode in Mode:
                        request = GenerationRequest(question.listing, question.attributes, mode)
                        result = engine.generate(request)
                        for name, value in (result.values | result.invalid).items():
                            given[mode, question.listing.listing_id, name] = value
                return given
    finally:
        decoder_module.PackedLinear, model_module.check = kept  # type: ignore[misc]


def same(ours: dict[Any, Any], reference: dict[Any, Any]) -> float:
    """The share of values that are the same, of those that either has."""
    either = ours.keys() | reference.keys()
    return sum(ours.get(key) == reference.get(key) for key in either) / len(either)


@torch.inference_mode()
def kernels(shape: DecoderSizes) -> list[ArmResult]:
    """GFLOP/s of all layers' matrices in turn, by kernel and number of rows."""
    rows = []
    for name, (dtype, make) in KERNELS.items():
        layers = [
            [(inner, make(torch.randn(out, inner) / 64)) for out, inner in shape.matrices]
            for _ in range(shape.layers)
        ]
        figures: Figures = {}
        for count in ROWS:
            inputs = {inner: torch.randn(count, inner).mul(9).to(dtype) for inner, _ in layers[0]}
            seconds = []
            for _ in range(TRIES):
                started = time.perf_counter()
                for layer in layers:
                    for inner, multiply in layer:
                        multiply(inputs[inner])
                seconds.append(time.perf_counter() - started)
            rate = 2 * count * shape.linear_weights / min(seconds) / 1e9
            figures[f"rows_{count}_gflop_per_s"] = rate
        rows.append(ArmResult(name, figures=figures))
    return rows


def _bf16(weight: torch.Tensor) -> Multiply:
    return PackedLinear(weight.bfloat16())


def _weights_only(weight: torch.Tensor) -> Multiply:
    eight = weight.mul(100).to(torch.int8)
    scales = torch.ones(len(weight), dtype=torch.bfloat16)
    return lambda x: torch._weight_int8pack_mm(x, eight, scales)


def _product_only(weight: torch.Tensor) -> Multiply:
    eight = weight.mul(100).to(torch.int8).t()
    return lambda x: torch._int_mm(x, eight)


def _dynamic(weight: torch.Tensor) -> Multiply:
    torch.backends.quantized.engine = "fbgemm"
    out = len(weight)
    scales, zeros = torch.full((out,), 1e-3), torch.zeros(out, dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        eight = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(eight, None)
    return lambda x: torch.ops.quantized.linear_dynamic(x, packed)


KERNELS: dict[str, tuple[torch.dtype, Callable[[torch.Tensor], Multiply]]] = {
    "bf16, packed (the engine's)": (torch.bfloat16, _bf16),
    "int8 weights, bf16 activations": (torch.bfloat16, _weights_only),
    "int8 both, a scale a tensor (fbgemm)": (torch.float32, _dynamic),
    "int8 both, the bare product": (torch.int8, _product_only),
}


def main() -> None:
    """Measure, print, and write the result file."""
    console = Console()
    settings = load_settings()
    result = begin("int8")
    base = ensure_base_model(settings.local.cache_dir, settings.local.base_model, console)
    arms: dict[str, tuple[str, type[PackedLinear]]] = {
        "bf16": ("bfloat16", PackedLinear),
        "int8 weights": ("float32", rounding_linear(lambda x: x)),
        "int8 both, a scale a token": ("float32", rounding_linear(lambda x: rounded(x, -1))),
        "int8 both, a scale a tensor": ("float32", rounding_linear(lambda x: rounded(x, None))),
    }
    rows = kernels(DecoderSizes.read(base))
    with progress.bar(console) as shown:
        task = shown.add_task("values", total=len(arms) + 1)
        reference = values(base, "float32", PackedLinear)
        for name, (dtype, linear) in arms.items():
            shown.advance(task)
            given = values(base, dtype, linear)
            figures: Figures = {}
            for mode in Mode:
                ours, theirs = (
                    {key: value for key, value in all_.items() if key[0] == mode}
                    for all_ in (given, reference)
                )
                figures[f"{mode}_values_as_in_fp32_share"] = same(ours, theirs)
            rows.append(ArmResult(f"values: {name}", figures=figures))
        shown.advance(task)
    result = replace(result, rows=rows, constants={"listings": LISTINGS})
    draw = partial(draw_bars, figures=("rows_50_gflop_per_s", "free_values_as_in_fp32_share"))
    publish([result], bench_folder(quick=False), draw, console)


if __name__ == "__main__":
    main()
