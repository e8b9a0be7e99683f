"""What a benchmark can be told to run: its arms, and where the real catalog is.

Light, since the command line shows it; torch is imported only where the device is asked about.
"""

from collections.abc import Sequence

from infra.machine import REPOSITORY
from schemas.errors import ListuneError

SERVING_ARMS = (
    *("naive", "openvino", "vllm", "free", "constrained"),
    *("adapters", "pushes", "pictures", "host"),
)
TRAINING_ARMS = ("listune", "trl", "pictures")
STREAM_ARMS = ("confluent", "faust", "listune", "steady", "pool", "predict")
DTYPES = ("bfloat16", "float32")
FLIPKART_FOLDER = REPOSITORY.parent / "shared" / "data" / "flipkart"
"""Where a checkout finds the real catalog, as tests/e2e/test_real_catalogs.py does."""


def chosen_arms(named: str, known: Sequence[str]) -> tuple[str, ...]:
    """The arms in `named`, with commas between.

    Raises:
        ListuneError: no arm, or none of the `known`.
    """
    chosen = tuple(filter(None, named.replace(" ", "").split(",")))
    if unknown := sorted(set(chosen) - set(known)):
        raise ListuneError(f"--arms {','.join(unknown)}: the arms are {', '.join(known)}")
    if not chosen:
        raise ListuneError(f"--arms names none: the arms are {', '.join(known)}")
    return chosen


def has_gpu() -> bool:
    """Whether torch sees a GPU, which the arms then use."""
    import torch

    return torch.cuda.is_available()
