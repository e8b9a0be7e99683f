"""Which number type to compute in: measured, not assumed.

On a CPU without native bf16 a bf16 matrix product runs several times slower than in fp32; with it
(AMX, AVX-512 BF16) it runs two to three times faster. A few milliseconds of multiplying the model's
own shapes settle it.
"""

import logging
import time

import torch

logger = logging.getLogger(__name__)

ROWS = 50  # tokens of one decoding step: a listing's branches side by side
TURNS = 4
REPEATS = 5
# fp32 is exact (design.md, "Exact by rule"), so bf16 has to earn its place.
WORTHWHILE = 1.2


def choose_dtype(
    wanted: str,
    device: torch.device,
    shape: tuple[int, int] = (576, 1536),
    rows: int = ROWS,
) -> torch.dtype:
    """The number type that `wanted` names; for `auto` the faster of fp32 and bf16 on `device`.

    Args:
        wanted: `float32`, `bfloat16` or `auto`.
        device: where the model will run.
        shape: (hidden, intermediate) sizes of the model, the shape of most of its work.
        rows: tokens in one product.
    """
    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    full = half = 0.0
    # By turns, so that a neighbour on the machine disturbs both alike.
    for _ in range(TURNS):
        full = max(full, measure_rate(torch.float32, device, shape, rows))
        half = max(half, measure_rate(torch.bfloat16, device, shape, rows))
    chosen = torch.bfloat16 if half > WORTHWHILE * full else torch.float32
    logger.info(
        "number type %s: fp32 %.0f GFLOP/s, bf16 %.0f GFLOP/s on %s", chosen, full, half, device
    )
    return chosen


def measure_rate(
    dtype: torch.dtype, device: torch.device, shape: tuple[int, int], rows: int
) -> float:
    """GFLOP/s of (rows, hidden) x (hidden, intermediate) in `dtype`, the best of a few tries."""
    hidden, intermediate = shape
    inputs = torch.ones(rows, hidden, dtype=dtype, device=device)
    weight = torch.ones(intermediate, hidden, dtype=dtype, device=device)
    seconds = []
    with torch.inference_mode():
        for _ in range(REPEATS):
            started = time.perf_counter()
            torch.nn.functional.linear(inputs, weight)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - started)
    # The first try pays for building kernels, others may be disturbed: the best one counts.
    return 2 * rows * hidden * intermediate / max(min(seconds), 1e-9) / 1e9
