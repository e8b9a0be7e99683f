"""PyTorch's work beside the engine's own, in a thread that ends with it.

Each thread that computes with PyTorch on a CPU gets helper threads of OpenMP's, which live as long
as it does. As soon as there are more of them than cores, libgomp lets nobody wait awake any more,
and every one of the thousands of short parallel stretches of a forward pass pays for waking up its
helpers: passes took 30 % longer with a second such thread that did nothing. So only the decoding
thread keeps helpers, and everybody else computes in passing.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_passing(work: Callable[[], Result]) -> Result:
    """What `work` returns or raises, computed in a thread of its own."""
    with ThreadPoolExecutor(1, thread_name_prefix="listune-passing") as thread:
        return thread.submit(work).result()
