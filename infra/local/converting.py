"""Conversions in a process of their own: what they import and load is too big for the caller."""

import subprocess
import sys
from pathlib import Path

from infra.local.errors import PartError
from infra.machine import REPOSITORY


def run_converter(module: str, source: Path, target: Path, what: str, needs: str) -> None:
    """Run `python -m module source target`.

    Args:
        what: is converted, as a sentence begins.
        needs: what there may be too little of.

    Raises PartError with the last line of what went wrong.
    """
    command = [sys.executable, "-m", module, str(source), str(target)]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]
        raise PartError(
            f"{what} could not be converted ({last[:200].rstrip('.')}): free {needs} and run the "
            "same command again."
        )
