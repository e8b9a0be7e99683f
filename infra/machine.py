"""What machine and which commit a figure was measured on; every result names both."""

import platform
import subprocess
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[1]


VECTORS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
"""The vector instructions that decide how fast a matrix product is."""


def describe() -> str:
    """One line: processor, cores, the vector instructions that matter, memory."""
    known = facts()
    vectors = known["vector_flags"] or "no AVX2"
    return f"{known['cpu']}, {known['cores']} cores, {vectors}, {known['memory_gib']} GiB"


def facts() -> dict[str, str | int | float | bool | None]:
    """The same by name: cpu, cores, vector_flags, memory_gib, and gpu (empty without one)."""
    info = _cpu_info()
    flags = set(info.get("flags", "").split())
    return {
        "cpu": info.get("model name", platform.processor() or platform.machine()),
        "cores": psutil.cpu_count(),
        "vector_flags": " ".join(name for name in VECTORS if name in flags),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpu": _gpu(),
    }


def commit() -> str:
    """The short commit of this checkout, with `+` where files differ from it; `unknown` without."""
    try:
        short = _git("rev-parse", "--short", "HEAD")
        return f"{short}+" if _git("status", "--porcelain", "--untracked-files=no") else short
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _gpu() -> str:
    """The names of the NVIDIA GPUs as their driver tells them."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ""
    return ", ".join(asked.stdout.split("\n")).strip(", ")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _cpu_info() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
