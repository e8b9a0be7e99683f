"""One file's measurement, in a process of its own: what `serving.pictures.checking` costs with it.

Small harmless files of every format come first and are not measured: they load the decoders.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.lab.bench.job import peak_memory_mb
from serving.errors import PictureRefused
from serving.pictures.checking import check
from serving.pictures.settings import LookingSettings


@dataclass(frozen=True)
class CheckJob:
    """A file to check `times` times, its picture at most `edge` px long; `warming` comes first."""

    file: str
    warming: tuple[str, ...]
    edge: int
    times: int


def carry_out(job: CheckJob) -> dict[str, Any]:
    """Milliseconds of each time on the clock and of the CPU, the memory that it took, and what
    came out: the picture's bytes, or why it was refused."""
    for file in job.warming:
        _checked(Path(file).read_bytes(), job.edge)
    data = Path(job.file).read_bytes()
    before_mb = psutil.Process().memory_info().rss / 1e6
    clock, cpu = [], []
    for _ in range(job.times):
        began, began_cpu = time.perf_counter(), time.process_time()
        seen, refused = _checked(data, job.edge)
        clock.append(1e3 * (time.perf_counter() - began))
        cpu.append(1e3 * (time.process_time() - began_cpu))
    return {
        "clock_ms": clock,
        "cpu_ms": cpu,
        "memory_mb": max(0.0, peak_memory_mb() - before_mb),
        "file_bytes": len(data),
        "seen_bytes": seen,
        "refused": refused,
    }


def _checked(data: bytes, edge: int) -> tuple[int, str]:
    """The bytes of the picture that is seen, or why there is none."""
    limits = LookingSettings()
    try:
        return len(check(data, edge, limits.max_bytes, limits.max_pixels).data), ""
    except PictureRefused as error:
        return 0, str(error)
