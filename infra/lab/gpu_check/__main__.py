"""`python -m infra.lab.gpu_check`: see the room's map, and docs/benchmarks.md."""

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from infra.lab.gpu_check import unpacking

DEADLINE_S = 560.0
"""A command on a lent machine has 10 minutes, the machine 15 with its start."""
SLOWER = 4
"""In a rehearsal, whose CPU others may be busy on."""
NO_GPU = (
    "no CUDA device is here: pack the parts (`python -m infra.lab.gpu_check.pack`) and run this on "
    "a machine that has one, or rehearse it with --cpu-rehearsal"
)


def main() -> int:
    """Run the check; the exit code."""
    told = _arguments()
    parts = Path(told.parts) if told.parts else None
    work = Path(told.work or tempfile.mkdtemp(prefix="listune-gpu-check-"))
    if parts is not None:
        site = work / "site"
        if added := unpacking.add_wheels(parts, site):
            print(f"Unpacked: {', '.join(added)}.", flush=True)
        # The stages' processes look there first, too.
        paths = [str(site), os.environ.get("PYTHONPATH", "")]
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    wanted = list(unpacking.NEEDED)
    if parts is not None and unpacking.pieces(parts):
        wanted += unpacking.NEEDED_TO_CONVERT
    if absent := unpacking.missing(wanted):
        print(unpacking.said(absent), file=sys.stderr)
        return 1
    return _check(told, parts, work)


def _check(told: argparse.Namespace, parts: Path | None, work: Path) -> int:
    """With all packages at hand."""
    import torch

    rehearsal = told.cpu_rehearsal
    if not rehearsal and not torch.cuda.is_available():
        print(NO_GPU, file=sys.stderr)
        return 1

    from rich.console import Console

    from infra.lab.bench.publish import bench_folder
    from infra.lab.gpu_check.place import REFERENCE, Place
    from infra.lab.gpu_check.reference import Reference
    from infra.lab.gpu_check.run import check
    from infra.lab.gpu_check.stage import STAGES

    console = Console()
    out = Path(told.out) if told.out else bench_folder(quick=rehearsal)
    if parts is not None:
        device = "cpu" if rehearsal else "cuda"
        size = Reference.read(parts / REFERENCE).size
        place = Place(str(parts), str(work / "base"), str(work), device, size)
    else:
        from infra.lab.gpu_check.here import packed_here

        place = packed_here(work, rehearsal, console)
    names = told.only.split(",") if told.only else [stage.name for stage in STAGES]
    more = SLOWER if rehearsal else 1
    stages = [
        replace(stage, limit_s=more * stage.limit_s) for stage in STAGES if stage.name in names
    ]
    check(place, out, console, more * told.deadline_s, stages)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.lab.gpu_check", description=__doc__)
    parser.add_argument("--out", help="folder of the result; docs/results/bench without it")
    parser.add_argument("--parts", help="folder of the packed parts; made here without it")
    parser.add_argument("--work", help="folder for what is made meanwhile")
    parser.add_argument("--only", help="stages, with commas between")
    parser.add_argument("--deadline-s", type=float, default=DEADLINE_S)
    parser.add_argument(
        "--cpu-rehearsal",
        action="store_true",
        help="on this CPU: a tiny model, or what --parts hold",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
