"""What machine this is, and the base model on it."""

import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from infra.lab.bench.results import ArmResult, Figures, Options
from infra.lab.gpu_check.place import REFERENCE, Place
from infra.lab.gpu_check.reference import Reference
from infra.lab.gpu_check.unpacking import join_base, pieces
from infra.local.base_model import convert
from serving.base_hash import base_hash
from serving.engine.precision import measure_rate

PRODUCT = 4096
"""Rows and columns of the matrices that the device's rate is measured with."""


def measure(place: Place) -> Iterator[ArmResult]:
    """The device, its versions and its rate; raises where it is not there."""
    device = torch.device(place.device)
    about: Options = {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "peft", "numpy")},
    }
    if device.type == "cuda":
        about |= {
            "device": torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "device_memory_gib": round(torch.cuda.mem_get_info(device)[1] / 2**30, 1),
        }
    figures: Figures = {}
    size = PRODUCT if device.type == "cuda" else PRODUCT // 16
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        figures[f"{name}_tflop_per_s"] = measure_rate(dtype, device, (size, size), size) / 1e3
    yield ArmResult("environment", about, figures)


def bring_base(place: Place) -> Iterator[ArmResult]:
    """Join and convert the base model where it came in pieces; compare it with the CPU's."""
    base, started = Path(place.base), time.perf_counter()
    reference = Reference.read(place.part(REFERENCE))
    if pieces(Path(place.parts)) and not base.is_dir():
        gguf = join_base(Path(place.parts), reference.wheel_sha256, place.made(""))
        unready = place.made("base-unready")
        convert(gguf, unready)
        unready.rename(base)
    seconds = time.perf_counter() - started
    same = base_hash(base) == reference.base_hash
    note = "" if same else "its file has other bytes than the CPU's: see whether answers agree"
    settings: Options = {"base": base.name, "same_bytes": same}
    yield ArmResult("base model", settings, {"seconds": seconds}, note=note)
