"""Memory that was freed, back to the machine."""

import ctypes
import gc


def give_back() -> None:
    """Give freed memory back, after work that took much of it.

    glibc keeps it, between blocks that are in use and in the arenas of threads that have ended: an
    experiment with a thread a training grew by some 2 GB a training, nearly all of it in arenas.
    Does nothing on other C libraries.
    """
    gc.collect()
    trim()


def trim() -> None:
    """As `give_back`, of what was freed by counting references: while others wait for their turn
    nobody looks through all objects."""
    freed = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if freed is not None:
        freed(0)
