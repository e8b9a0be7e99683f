"""Whether training goes the CPU's way: the same losses, by one process, and by two on one device.

Two processes talk by gloo, since NCCL wants a GPU for each. Run as `python -m
infra.lab.gpu_check.losses PLACE RESULT`, this is one of the two.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.lab.bench.results import ArmResult, Figures, Options
from infra.lab.gpu_check.place import REFERENCE, Place
from infra.lab.gpu_check.reference import Reference, loss_curve
from infra.local.ports import free_port
from infra.machine import REPOSITORY

PROCESSES = 2


def measure(place: Place) -> Iterator[ArmResult]:
    """The curve of one process beside the CPU's."""
    yield compared(place, loss_curve(place), 1)


def together(place: Place) -> Iterator[ArmResult]:
    """The curve of two processes beside the CPU's."""
    told, results = place.made("place.json"), place.made("together")
    results.mkdir(exist_ok=True)
    place.write(told)
    port = free_port()
    running = []
    for rank in range(PROCESSES):
        environment = os.environ | {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(PROCESSES),
            "LOCAL_WORLD_SIZE": str(PROCESSES), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        command = [sys.executable, "-m", "infra.lab.gpu_check.losses", str(told)]
        result = results / f"{rank}.json"
        running.append(subprocess.Popen([*command, str(result)], cwd=REPOSITORY, env=environment))
    codes = [process.wait() for process in running]
    if any(codes):
        raise RuntimeError(f"the processes ended with the codes {codes}; what they said is above")
    yield compared(place, json.loads((results / "0.json").read_text()), PROCESSES)


def compared(place: Place, losses: list[float], processes: int) -> ArmResult:
    """A row of the losses beside the CPU's."""
    expected = Reference.read(place.part(REFERENCE)).losses
    differences = [abs(o - t) for o, t in zip(losses, expected, strict=True)]
    figures: Figures = {
        "steps": len(losses),
        "first_loss_nats": losses[0],
        "last_loss_nats": losses[-1],
        "greatest_difference_nats": max(differences),
    }
    raw = {"loss_nats": losses, "cpu_loss_nats": expected}
    name = f"loss curve as on the CPU: {processes} process{'es' if processes > 1 else ''}"
    settings: Options = {"stage": "losses", "processes": processes, "dtype": "float32"}
    return ArmResult(name, settings, figures, raw)


def main() -> None:
    """One of the processes that train together."""
    place = Place.read(Path(sys.argv[1]))
    rank = os.environ["RANK"]
    own = Path(place.work) / f"rank-{rank}"
    place = Place(place.parts, place.base, str(own), place.device, place.size)
    import torch
    from accelerate import PartialState

    if place.device == "cuda":
        # Kept by accelerate for everybody in the process; both processes take the only device.
        PartialState(backend="gloo")
    losses = loss_curve(place)
    Path(sys.argv[2]).write_text(json.dumps(losses))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
