"""How fast this machine multiplies the model's own matrices: GFLOP/s by number type.

All layers' matrices are used in turn, as in a forward pass, so that weights come from memory where
they do not fit the caches. The best counts over several numbers of rows and over plain and (on a
CPU) oneDNN-prepacked weights, each of several tries: it is the machine's limit that is wanted, and
neighbours on the machine can only lower what is seen.
"""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.progress import Progress

from infra.lab.bench.flops import DecoderSizes
from infra.lab.bench.runner import run_shown

ROWS = (64, 128, 256, 512, 1024)
TRIES = 4
NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

Multiply = Callable[[torch.Tensor], torch.Tensor]


def matrix_rates(base: Path, shown: Progress) -> dict[str, float]:
    """The best GFLOP/s of each number type for the model in the folder `base`.

    Measured in a process of its own.

    Raises:
        RuntimeError: it failed; with the last line that it said.
    """
    rates = run_shown(shown, "this machine's matrix rate", _best_rates, base)
    if "not_run" in rates:
        raise RuntimeError(f"the matrix rate: {rates['not_run']}")
    return dict(rates)


@torch.inference_mode()
def _best_rates(base: Path) -> dict[str, float]:
    shape = DecoderSizes.read(base)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    forms = ("plain", "prepacked") if device.type == "cpu" else ("plain",)
    best = {}
    for dtype, name in NAMES.items():
        weights = [
            [torch.randn(out, inner, device=device).to(dtype) / 64 for out, inner in shape.matrices]
            for _ in range(shape.layers)
        ]
        products = {
            form: [[(w.shape[1], _multiply(w, form)) for w in layer] for layer in weights]
            for form in forms
        }
        # By turns, so that a neighbour on the machine disturbs all of them alike.
        best[name] = max(
            2 * count * shape.linear_weights / _seconds(products[form], count, dtype, device) / 1e9
            for _, form, count in itertools.product(range(TRIES), forms, ROWS)
        )
    return best


def _multiply(weight: torch.Tensor, form: str) -> Multiply:
    if form == "plain":
        return lambda x: torch.nn.functional.linear(x, weight)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
    multiply = torch.ops.mkldnn._linear_pointwise
    return lambda x: multiply(x, packed, None, "none", [], "")


def _seconds(
    products: list[list[tuple[int, Multiply]]], rows: int, dtype: torch.dtype, device: torch.device
) -> float:
    """Of one product with each matrix of each layer."""
    inputs = {inner: torch.randn(rows, inner, device=device).to(dtype) for inner, _ in products[0]}
    for inner, multiply in products[0]:  # builds the kernels for this number of rows
        multiply(inputs[inner])
    _finish(device)
    started = time.perf_counter()
    for layer in products:
        for inner, multiply in layer:
            multiply(inputs[inner])
    _finish(device)
    return time.perf_counter() - started


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
