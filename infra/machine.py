"""What machine and which commit a figure was measured on; every result names both."""

import platform
import subprocess
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).parents[1]


def describe() -> str:
    """One line: processor, cores, the vector instructions that matter, memory."""
    info = _cpu_info()
    flags = set(info.get("flags", "").split())
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    vectors = " ".join(name for name in wanted if name in flags) or "no AVX2"
    memory = psutil.virtual_memory().total / 2**30
    name = info.get("model name", platform.processor() or platform.machine())
    return f"{name}, {psutil.cpu_count()} cores, {vectors}, {memory:.0f} GiB"


def commit() -> str:
    """The short commit of this checkout, with `+` where files differ from it; `unknown` without."""
    try:
        short = _git("rev-parse", "--short", "HEAD")
        return f"{short}+" if _git("status", "--porcelain", "--untracked-files=no") else short
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


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
