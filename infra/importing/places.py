"""Where an import reads and writes: no two files are one, and none that is read is written."""

from collections.abc import Sequence
from pathlib import Path

from infra.importing.errors import ImportFault

MAP_NAME = "map.toml"


def rejected_path(out: Path) -> Path:
    """Where the rows and values go that are left out of the catalog `out`."""
    return out.parent / f"{out.stem}.rejected.jsonl"


def guessed_path(out: Path) -> Path:
    """Where the map goes that was guessed for the catalog `out`."""
    return out.parent / MAP_NAME


def check_places(
    files: Sequence[Path], out: Path, map_path: Path | None, schema_out: Path | None = None
) -> None:
    """Whether an import of `files` can read where it is to, and write.

    Raises:
        ImportFault: a file can be read only once; a place is a folder, is read here, or is to be
            two files.
    """
    for file in files:
        if file.exists() and not file.is_file() and not file.is_dir():
            raise ImportFault(
                f"{file}: is a pipe or a device, and an import reads a file twice; save it to a "
                "file and give that"
            )
    written = {"--out": out, "the rejected rows": rejected_path(out)}
    if map_path is None:
        written["the map"] = guessed_path(out)
    if schema_out is not None:
        written["--schema-out"] = schema_out
    for what, path in written.items():
        if not path.name or path.is_dir():
            raise ImportFault(f"{path}: is a folder; give {_option(what)} another place")
    read = [file.resolve() for file in (*files, map_path) if file is not None]
    taken: dict[Path, str] = {}
    for what, path in written.items():
        place = path.resolve()
        if place in read:
            raise ImportFault(
                f"{path}: is read here and would be written over; give another {_option(what)}"
            )
        if place in taken:
            raise ImportFault(
                f"{path}: is to be two files, {taken[place]} and {what}; give two paths"
            )
        taken[place] = what


def _option(what: str) -> str:
    """The option that says where a file goes."""
    return what if what.startswith("--") else "--out"
