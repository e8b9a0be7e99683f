"""How fast this machine multiplies the model's own matrices: GFLOP/s by number type.

All layers' matrices are used in turn, as in a forward pass, so that weights come from memory where
they do not fit the caches. The best counts over several numbers of rows and over plain and (on a
CPU) oneDNN-prepacked weights, each of several tries: it is the machine's limit that is wanted, and
neighbours on the machine can only lower what is seen. Runs in a process of its own:
`python -m infra.lab.bench.matrix_rate FOLDER RESULT`.
"""

import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from infra.lab.bench.flops import Shape

ROWS = (64, 128, 256, 512, 1024)
TRIES = 4
DTYPES = (torch.float32, torch.bfloat16)
NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}

Multiply = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Rate:
    """One measurement."""

    dtype: str
    rows: int
    weights: str
    gflop_per_s: float


@torch.inference_mode()
def measure_rates(shape: Shape, device: torch.device, rows: tuple[int, ...] = ROWS) -> list[Rate]:
    """The best rate of every number type, number of rows and form of weights."""
    forms = ("plain", "prepacked") if device.type == "cpu" else ("plain",)
    best: dict[tuple[str, int, str], float] = {}
    for dtype in DTYPES:
        weights = [
            [torch.randn(out, inner, device=device).to(dtype) / 64 for out, inner in shape.matrices]
            for _ in range(shape.layers)
        ]
        products = {
            form: [[(w.shape[1], _multiply(w, form)) for w in layer] for layer in weights]
            for form in forms
        }
        # By turns, so that a neighbour on the machine disturbs all of them alike.
        for _, form, count in itertools.product(range(TRIES), forms, rows):
            seconds = _seconds(products[form], count, dtype, device)
            rate = 2 * count * shape.linear_weights / seconds / 1e9
            key = (NAMES[dtype], count, form)
            best[key] = max(best.get(key, 0.0), rate)
    return [Rate(*key, rate) for key, rate in best.items()]


def best_rates(rates: list[Rate]) -> dict[str, float]:
    """The best GFLOP/s of each number type."""
    best: dict[str, float] = {}
    for rate in rates:
        best[rate.dtype] = max(best.get(rate.dtype, 0.0), rate.gflop_per_s)
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


def main(base: str, result_path: str) -> None:
    """Write the best GFLOP/s of each number type, for the model in the folder `base`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rates = measure_rates(Shape.read(Path(base)), device)
    Path(result_path).write_text(json.dumps(best_rates(rates)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
