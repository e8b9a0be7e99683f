"""The parts made where the check runs: on a machine of one's own, and for a rehearsal."""

from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from infra.lab.gpu_check.pack import pack
from infra.lab.gpu_check.place import Place
from infra.local.fetch import ensure_base_model
from infra.local.tiny_model import make_tiny_model
from infra.settings import load_settings


def packed_here(work: Path, rehearsal: bool, console: Console) -> Place:
    """The place of a check whose parts this machine's CPU has just made.

    rehearsal: of the tiny model, to be checked on the CPU itself.

    Raises:
        PartError: the base model cannot be fetched.
    """
    work.mkdir(parents=True, exist_ok=True)
    if rehearsal:
        torch.set_num_threads(1)
        base = make_tiny_model(work / "tiny")
    else:
        base = ensure_base_model(load_settings().local.cache_dir, None, console)
    size = "rehearsal" if rehearsal else "full"
    place = Place(str(work / "parts"), str(base), str(work / "cpu"), "cpu", size)
    console.print("Computing on the CPU what is compared with…")
    pack(place, base)
    return replace(place, work=str(work), device="cpu" if rehearsal else "cuda")
